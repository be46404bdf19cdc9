// A writer and a reader in two processes over one real file, both as fast as they can.
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/log/log_test_util.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/seed.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::log {
namespace {

using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::ScratchDirectory;

// What the processes tell each other beside the log.
struct Shared {
  std::atomic<uint64_t> consumed{0};
  std::atomic<bool> enough{false};    // the reader has seen enough
  std::atomic<int> written{INT_MAX};  // frames in all, once the writer has written the last
};

// The n-th frame, for both sides alike.
class Frames {
 public:
  Frames(uint64_t seed, size_t max_payload) : random_(seed), max_payload_(max_payload) {}
  const OwnedFrame& Next() {
    ++frame_.call;
    frame_.type = static_cast<FrameType>(1 + random_() % 7);
    const uint64_t size = random_();
    frame_.payload.resize(size % 16 == 0 ? size / 16 % (max_payload_ + 1) : size / 16 % 200);
    uint64_t word = random_();
    for (char& byte : frame_.payload) {
      word = word * 6364136223846793005 + 1442695040888963407;
      byte = static_cast<char>(word >> 56);
    }
    return frame_;
  }

 private:
  std::mt19937_64 random_;
  const size_t max_payload_;
  OwnedFrame frame_;
};

// Writes until the reader has enough. Ends with 0, or another code when something is wrong.
int Write(const std::string& path, const LogHead& head, const FileAccess& access, uint64_t seed,
          Shared* shared) {
  auto file = OpenLogForWriting(os::SystemCalls::Real(), path, access);
  if (!file.ok()) return 2;
  LogWriter writer(*std::move(file), head, access);
  Frames source(seed, writer.max_payload());
  std::mt19937_64 batches(seed + 1);
  int written = 0;
  while (!shared->enough) {
    // A batch of a random number of frames, at least one.
    for (int n = batches() % 20; n >= 0; --n, ++written) {
      const OwnedFrame& frame = source.Next();
      while (!writer.HasRoom(frame.payload.size(), false)) {
        if (writer.has_batch() && !Flush(&writer).ok()) return 3;
        const uint64_t consumed = shared->consumed.load();
        if (consumed > writer.end()) return 4;
        writer.OnConsumed(consumed);
        sched_yield();
      }
      if (!Append(&writer, frame)) return 5;
    }
    if (!Flush(&writer).ok()) return 6;
    if (batches() % 8 == 0 && !writer.WriteHead(WriterState::kOpen).ok()) return 7;
  }
  if (!writer.WriteHead(WriterState::kClosed).ok()) return 8;
  shared->written = written;
  return 0;
}

// Until `most` frames have come, or `least` and 10 seconds have passed: on a busy machine each lap
// waits for the scheduler.
void RunBoth(const FileAccess& access, uint64_t capacity, int least, int most) {
  const uint64_t seed = testing::TestSeed();
  ScratchDirectory scratch;
  const std::string path = scratch / "log";
  const LogHead head = TestHead(capacity);
  ASSERT_OK(CreateLogFile(os::SystemCalls::Real(), path, head, access, 0600));
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  Shared* const shared = new (memory) Shared;
  ASSERT_OK_AND_ASSIGN(const auto reader, MakeReader(os::SystemCalls::Real(), path, head, access));
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(Write(path, head, access, seed, shared));
  }

  LogWriter unused(nullptr, head, access);
  Frames expected(seed, unused.max_payload());
  AlignedBuffer buffer(LogReader::kBufferSize), head_buffer(kHeadSize);
  std::mt19937_64 wants(seed + 2);
  uint64_t counter = 0, flushed = 0;
  int got = 0, torn_heads = 0;
  const absl::Time start = absl::Now();
  while (got < shared->written) {
    if (got >= most || (got >= least && absl::Now() - start > absl::Seconds(10))) {
      shared->enough = true;
    }
    siginfo_t ended = {};
    if (waitid(P_PID, child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == child) {
      ASSERT_EQ(ended.si_status, 0) << "the writer ended so, after " << got << " frames";
    }
    if (absl::Now() - start > absl::Minutes(4)) {
      kill(child, SIGKILL);
      FAIL() << "stuck after " << got << " frames at " << reader->position();
    }
    size_t want = 1 + wants() % 20000;
    while (want > 0) {
      ASSERT_OK(reader->Read(want, &buffer));
      Frame frame;
      while (reader->Next(&frame) == LogReader::Outcome::kFrame) {
        ++got;
        ASSERT_EQ(OwnedFrame(frame), expected.Next()) << "frame " << got << ", seed " << seed;
      }
      want = reader->wanted();
      shared->consumed.store(reader->position());
    }
    // Heads are rewritten all the time: torn ones are no news, others only grow.
    const auto now = reader->ReadHeadNow(&head_buffer);
    if (!now.ok()) {
      ASSERT_EQ(now.status().code(), absl::StatusCode::kDataLoss) << now.status();
      ++torn_heads;
      continue;
    }
    ASSERT_GE(now->counter, counter);
    ASSERT_GE(now->flushed, flushed);
    counter = now->counter;
    flushed = now->flushed;
    ASSERT_OK(reader->CheckAgainst(flushed, &buffer)) << "what is flushed is there";
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(got, shared->written);
  ASSERT_OK_AND_ASSIGN(const LogHead last, reader->ReadHeadNow(&head_buffer));
  EXPECT_EQ(last.state, WriterState::kClosed);
  EXPECT_EQ(last.flushed, reader->position());
  std::cout << got << " frames, " << reader->position() / capacity << " laps, " << torn_heads
            << " torn heads" << std::endl;
  munmap(memory, sizeof(Shared));
}

TEST(LogBetweenProcesses, PlainReaderGetsEveryFrame) {
  RunBoth({/*direct_reads=*/false, /*flushed_writes=*/false}, kMinCapacity, 10000, 200000);
}

TEST(LogBetweenProcesses, PlainReaderOfASmallWriterGetsEveryFrame) {
  RunBoth({/*direct_reads=*/false, /*flushed_writes=*/false, /*max_write=*/4096}, kDefaultCapacity,
          10000, 200000);
}

// An O_DIRECT poller on a local file system slows its writer down by orders of magnitude.
TEST(LogBetweenProcesses, DirectReaderGetsEveryFrame) {
  RunBoth({/*direct_reads=*/true, /*flushed_writes=*/false}, kMinCapacity, 1000, 5000);
}

TEST(LogBetweenProcesses, DirectReaderOfFlushedWritesGetsEveryFrame) {
  RunBoth({/*direct_reads=*/true, /*flushed_writes=*/true}, kMinCapacity, 500, 2000);
}

}  // namespace
}  // namespace spoolrpc::log
