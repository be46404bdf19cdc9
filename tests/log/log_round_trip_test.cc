// Random frames through a ring, lap after lap: what comes out is what went in, whatever the sizes,
// the batches, the readings and the moments at which the reader's progress is told.
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/log/log_test_util.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/seed.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::log {
namespace {

using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::MemoryFileSystem;
using ::spoolrpc::testing::ScratchDirectory;

struct Case {
  const char* name;
  uint64_t capacity;
  FileAccess access;
  int steps;
  // On a real file, or through two clients of a network.
  bool network = false;
  // Which sides may map it.
  bool writer_maps = false;
  bool reader_maps = false;
};

class LogRoundTripTest : public ::testing::TestWithParam<Case> {};

// A writer and a reader that take turns at random.
class Exchange {
 public:
  Exchange(LogWriter* writer, LogReader* reader, uint64_t seed)
      : writer_(writer), reader_(reader), random_(seed) {}

  void Step() {
    switch (Pick(8)) {
      case 0:
      case 1:
      case 2:
        AddFrames();
        break;
      case 3:
      case 4:
        WriteABatch();
        break;
      case 5:
      case 6:
        Read();
        break;
      case 7:
        TellConsumed();
        break;
    }
  }

  // Everything that was sent arrives in the end.
  void Finish() {
    for (int i = 0; i < 3; ++i) WriteABatch();
    while (!on_way_.empty()) {
      const size_t before = on_way_.size();
      Read();
      ASSERT_LT(on_way_.size(), before) << "stuck at " << reader_->position();
    }
    EXPECT_EQ(reader_->position(), writer_->end());
    ASSERT_OK(writer_->WriteHead(WriterState::kOpen));
    const auto head = reader_->ReadHeadNow(&buffer_);
    ASSERT_OK(head);
    EXPECT_EQ(head->flushed, writer_->end());
    EXPECT_OK(reader_->CheckAgainst(head->flushed, &buffer_));
  }

  int64_t frames() const { return frames_; }

 private:
  uint64_t Pick(uint64_t below) { return random_() % below; }

  size_t PickSize() {
    const uint64_t to_end = reader_->capacity() - writer_->end() % reader_->capacity();
    switch (Pick(6)) {
      case 0:
        return 0;
      case 1:
        return Pick(16);
      case 2:
        return Pick(300);
      case 3:
        return Pick(writer_->max_payload() + 1);
      case 4:
        return writer_->max_payload();
      default:
        // About as much as the ring has left before its end.
        return std::min<uint64_t>(
            writer_->max_payload(),
            to_end < 40 ? 0 : to_end - 40 + 16 - Pick(std::min<uint64_t>(32, to_end - 39)));
    }
  }

  void AddFrames() {
    for (int n = Pick(6); n >= 0; --n) {
      OwnedFrame frame(static_cast<FrameType>(1 + Pick(7)), Pick(1000));
      frame.flags = Pick(4);
      consumed_told_ += Pick(2000);
      frame.consumed = consumed_told_;
      frame.payload.resize(std::min(PickSize(), writer_->max_payload()));
      uint64_t word = random_();
      for (char& byte : frame.payload) {
        word = word * 6364136223846793005 + 1442695040888963407;
        byte = static_cast<char>(word >> 56);
      }
      const bool control = Pick(5) == 0;
      if (!Append(writer_, frame, control)) return;
      ASSERT_LE(writer_->end() - told_, reader_->capacity()) << "unconsumed bytes are overwritten";
      if (!control) {
        ASSERT_LE(writer_->end() - told_ + kControlReserve, reader_->capacity());
      }
      gathered_.push_back(std::move(frame));
    }
  }

  // Takes a batch, or writes the one taken earlier: frames are added in between.
  void WriteABatch() {
    if (!taken_) {
      writer_->TakeBatch(&batch_);
      taken_frames_.swap(gathered_);
      gathered_.clear();
      taken_ = true;
      if (Pick(2) == 0) return;
    }
    ASSERT_OK(writer_->Write(batch_));
    for (OwnedFrame& frame : taken_frames_) on_way_.push_back(std::move(frame));
    taken_frames_.clear();
    taken_ = false;
  }

  void Read() {
    std::vector<OwnedFrame> got;
    const size_t want = Pick(3) == 0 ? 1 + Pick(100) : 1 + Pick(LogReader::kBufferSize);
    ASSERT_OK(ReadFrames(reader_, want, &buffer_, &got));
    // All that is written is read: nothing waits for a further call.
    ASSERT_EQ(got.size(), on_way_.size());
    for (const OwnedFrame& frame : got) {
      ASSERT_EQ(frame, on_way_.front());
      on_way_.pop_front();
      ++frames_;
    }
    ASSERT_LE(reader_->position(), writer_->end());
  }

  void TellConsumed() {
    told_ = reader_->position();
    writer_->OnConsumed(told_);
  }

  LogWriter* const writer_;
  LogReader* const reader_;
  std::mt19937_64 random_;
  AlignedBuffer buffer_{LogReader::kBufferSize};
  std::vector<OwnedFrame> gathered_;
  std::vector<OwnedFrame> taken_frames_;
  std::deque<OwnedFrame> on_way_;
  Batch batch_;
  bool taken_ = false;
  uint64_t consumed_told_ = 0;
  uint64_t told_ = 0;
  int64_t frames_ = 0;
};

TEST_P(LogRoundTripTest, WhatGoesInComesOut) {
  const Case& c = GetParam();
  const uint64_t seed = testing::TestSeed();
  const LogHead head = TestHead(c.capacity, Direction::kResponses);
  ScratchDirectory scratch;
  MemoryFileSystem system;
  const auto here = system.NewClient({/*network=*/true});
  const auto there = system.NewClient({/*network=*/true});
  const std::string path = c.network ? "/log" : scratch / "log";
  os::SystemCalls* const real = os::SystemCalls::Real();
  ASSERT_OK_AND_ASSIGN(const auto writer,
                       MakeWriter(c.network ? here.get() : real, path, head, c.access));
  ASSERT_OK_AND_ASSIGN(const auto reader, MakeReader(c.network ? there.get() : real, path, head,
                                                     c.access, c.network ? 1000 : geteuid()));
  if (c.writer_maps) writer->AllowMapping();
  if (c.reader_maps) reader->AllowMapping();
  Exchange exchange(writer.get(), reader.get(), seed);
  for (int step = 0; step < c.steps; ++step) {
    exchange.Step();
    ASSERT_FALSE(HasFatalFailure()) << "step " << step << ", seed " << seed;
  }
  exchange.Finish();
  const uint64_t laps = writer->end() / c.capacity;
  std::cout << exchange.frames() << " frames, " << laps << " laps" << std::endl;
  EXPECT_GT(laps, 3) << "too few to mean much";
}

constexpr FileAccess kPlain = {false, false, 65536};
constexpr FileAccess kDirect = {true, false, 65536};
constexpr FileAccess kFlushedDirect = {true, true, 65536};
constexpr FileAccess kSmallWrites = {false, false, 4096};

INSTANTIATE_TEST_SUITE_P(
    Logs, LogRoundTripTest,
    ::testing::Values(Case{"Smallest", kMinCapacity, kPlain, 8000},
                      Case{"OddBlocks", kMinCapacity + 4096, kPlain, 8000},
                      Case{"Default", kDefaultCapacity, kPlain, 8000},
                      Case{"Large", 1 << 20, kPlain, 5000},
                      Case{"SmallWrites", kMinCapacity, kSmallWrites, 8000},
                      Case{"Mapped", kDefaultCapacity, kPlain, 8000, false, true, true},
                      Case{"MappedByTheWriter", kMinCapacity, kPlain, 8000, false, true, false},
                      Case{"MappedByTheReader", kMinCapacity, kPlain, 8000, false, false, true},
                      Case{"Direct", kMinCapacity, kDirect, 2000},
                      Case{"DirectOddBlocks", kMinCapacity + 4096, kDirect, 2000},
                      Case{"Network", kMinCapacity, kFlushedDirect, 8000, true},
                      Case{"NetworkDefault", kDefaultCapacity, kFlushedDirect, 8000, true}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace spoolrpc::log
