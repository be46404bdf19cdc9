// What the log itself costs: one frame encoded, decoded, appended and written, read back.
//
// The argument is the payload's size in bytes; with a second one, the number of frames in a batch.
#include <string.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "benchmark/benchmark.h"
#include "spoolrpc/log/log_reader.h"
#include "spoolrpc/log/log_writer.h"
#include "tests/log/log_test_util.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::log {
namespace {

constexpr uint64_t kCapacity = kDefaultCapacity;

void EncodeFrame(benchmark::State& state) {
  const size_t length = kFrameHeaderSize + state.range(0);
  const FrameKey key(TestId(), Direction::kRequests);
  std::string frame(AlignFrame(length), 'x');
  uint64_t sequence = 0;
  for (auto _ : state) {
    SealFrame(key, FrameType::kCall, 0, sequence * 64, sequence, 0, 1, length, frame.data());
    ++sequence;
    benchmark::DoNotOptimize(frame.data());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * length);
}
BENCHMARK(EncodeFrame)->Arg(0)->Arg(64)->Arg(1024)->Arg(16384)->Arg(65496);

void Decode(benchmark::State& state) {
  const size_t length = kFrameHeaderSize + state.range(0);
  const FrameKey key(TestId(), Direction::kRequests);
  std::string bytes(AlignFrame(length), 'x');
  SealFrame(key, FrameType::kCall, 0, 4096, 1, 0, 1, length, bytes.data());
  for (auto _ : state) {
    Frame frame;
    size_t got;
    if (DecodeFrame(key, bytes.data(), bytes.size(), 1 << 20, kMaxFrameLength, 4096, 1, &frame,
                    &got) != DecodeResult::kValid) {
      state.SkipWithError("not valid");
      break;
    }
    benchmark::DoNotOptimize(frame);
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * length);
}
BENCHMARK(Decode)->Arg(0)->Arg(64)->Arg(1024)->Arg(16384)->Arg(65496);

// A log on a local file system, with its writer and its reader.
struct Log {
  explicit Log(const std::string& parent = "") : scratch(parent) {
    const LogHead head = TestHead(kCapacity);
    writer = *MakeWriter(os::SystemCalls::Real(), scratch / "log", head, FileAccess{});
    reader = *MakeReader(os::SystemCalls::Real(), scratch / "log", head, FileAccess{});
  }

  bool Add(size_t payload, uint64_t call) {
    if (!writer->HasRoom(payload, false)) return false;
    memset(writer->BeginFrame(payload), 'x', payload);
    writer->EndFrame(FrameType::kCall, 0, call, 0);
    return true;
  }
  bool Write() {
    writer->TakeBatch(&batch);
    return writer->Write(batch).ok();
  }
  // Reads `frames` frames.
  bool Read(int64_t frames) {
    size_t want = 4096;
    while (frames > 0) {
      if (want == 0 || !reader->Read(want, &buffer).ok()) return false;
      Frame frame;
      while (reader->Next(&frame) == LogReader::Outcome::kFrame) {
        benchmark::DoNotOptimize(frame);
        --frames;
      }
      want = reader->wanted();
    }
    return true;
  }

  testing::ScratchDirectory scratch;
  std::unique_ptr<LogWriter> writer;
  std::unique_ptr<LogReader> reader;
  Batch batch;
  AlignedBuffer buffer{LogReader::kBufferSize};
};

void AppendAndWrite(benchmark::State& state) {
  Log log;
  const int64_t frames = state.range(1);
  for (auto _ : state) {
    log.writer->OnConsumed(log.writer->end());
    for (int64_t i = 0; i < frames; ++i) {
      if (!log.Add(state.range(0), i)) {
        state.SkipWithError("no room");
        return;
      }
    }
    if (!log.Write()) {
      state.SkipWithError("write failed");
      return;
    }
  }
  state.SetItemsProcessed(state.iterations() * frames);
}
BENCHMARK(AppendAndWrite)->Args({64, 1})->Args({64, 64})->Args({1024, 1})->Args({16384, 1});

// A batch written and read back by the same thread: everything but the waiting.
void WriteAndRead(benchmark::State& state) {
  Log log;
  const int64_t frames = state.range(1);
  for (auto _ : state) {
    for (int64_t i = 0; i < frames; ++i) {
      if (!log.Add(state.range(0), i)) {
        state.SkipWithError("no room");
        return;
      }
    }
    if (!log.Write() || !log.Read(frames)) {
      state.SkipWithError("not written and read");
      return;
    }
    log.writer->OnConsumed(log.reader->position());
  }
  state.SetItemsProcessed(state.iterations() * frames);
}
BENCHMARK(WriteAndRead)->Args({64, 1})->Args({64, 64})->Args({1024, 1})->Args({16384, 1});

// Reads what was written before: following a log that another writes, without the waiting.
void Tail(benchmark::State& state) {
  Log log;
  const int64_t frames = state.range(1);
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 0; i < frames; ++i) {
      if (!log.Add(state.range(0), i)) {
        state.SkipWithError("no room");
        return;
      }
    }
    const bool written = log.Write();
    state.ResumeTiming();
    if (!written || !log.Read(frames)) {
      state.SkipWithError("not written and read");
      return;
    }
    state.PauseTiming();
    log.writer->OnConsumed(log.reader->position());
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * frames);
}
BENCHMARK(Tail)->Args({64, 1})->Args({64, 512})->Args({1024, 64})->Args({16384, 4});

// A look at a log in which nothing new is: what each poll costs.
void ReadNothing(benchmark::State& state) {
  Log log;
  for (auto _ : state) {
    Frame frame;
    if (!log.reader->Read(4096, &log.buffer).ok() ||
        log.reader->Next(&frame) != LogReader::Outcome::kNotYet) {
      state.SkipWithError("there is something");
      return;
    }
  }
}
BENCHMARK(ReadNothing);

void RenewLease(benchmark::State& state) {
  Log log;
  for (auto _ : state) {
    if (!log.writer->WriteHead(WriterState::kOpen).ok()) {
      state.SkipWithError("write failed");
      return;
    }
  }
}
BENCHMARK(RenewLease);

}  // namespace
}  // namespace spoolrpc::log

BENCHMARK_MAIN();
