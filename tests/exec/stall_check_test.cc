#include "spoolrpc/exec/stall_check.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace spoolrpc::exec {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);

// Runs `work` on a thread of its own; check() is of that.
class Thread {
 public:
  explicit Thread(std::function<void()> work)
      : thread_([this, work = std::move(work)] {
          check_ = std::make_unique<StallCheck>();
          ready_.Notify();
          work();
        }) {
    ready_.WaitForNotification();
  }
  ~Thread() { thread_.join(); }

  StallCheck& check() { return *check_; }
  absl::Duration computed() {
    clockid_t clock;
    timespec time = {};
    EXPECT_EQ(pthread_getcpuclockid(thread_.native_handle(), &clock), 0);
    EXPECT_EQ(clock_gettime(clock, &time), 0);
    return absl::DurationFromTimespec(time);
  }

 private:
  std::unique_ptr<StallCheck> check_;
  absl::Notification ready_;
  std::thread thread_;
};

bool BecomesStuck(StallCheck* check, int64_t piece) {
  const absl::Time end = absl::Now() + kLong;
  while (absl::Now() < end) {
    if (check->Stuck(piece)) return true;
  }
  return false;
}

void RunOnProcessor(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  EXPECT_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

// One that this process may use.
int AProcessor() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 0;
  int cpu = 0;
  while (!CPU_ISSET(cpu, &set)) ++cpu;
  return cpu;
}

TEST(StallCheckTest, AThreadThatSleepsIsStuck) {
  absl::Notification stop;
  Thread thread([&] { stop.WaitForNotification(); });
  EXPECT_TRUE(BecomesStuck(&thread.check(), 1));
  EXPECT_TRUE(thread.check().Stuck(2));  // of another piece, too, and at once
  stop.Notify();
}

TEST(StallCheckTest, AThreadThatComputesIsStuckAfterAWhile) {
  std::atomic<bool> computes{false};
  std::atomic<bool> stop{false};
  {
    Thread thread([&] {
      while (!stop) computes = true;
    });
    // (Before that it may sleep for a moment.)
    while (!computes) std::this_thread::yield();
    for (int64_t piece = 1; piece <= 3; ++piece) {
      EXPECT_FALSE(thread.check().Stuck(piece));
      EXPECT_TRUE(BecomesStuck(&thread.check(), piece));
    }
    stop = true;
  }
}

TEST(StallCheckTest, AThreadThatWaitsForAProcessorIsNot) {
  const int cpu = AProcessor();
  std::atomic<bool> stop{false};
  const auto spin = [&] {
    while (!stop) {
    }
  };
  {
    Thread busy([&] {
      RunOnProcessor(cpu);
      spin();
    });
    std::atomic<bool> behind{false};
    Thread waits([&] {
      RunOnProcessor(cpu);
      // Some 1 of 340 parts of that processor.
      sched_param param = {};
      EXPECT_EQ(sched_setscheduler(0, SCHED_IDLE, &param), 0);
      behind = true;
      spin();
    });
    while (!behind) std::this_thread::yield();
    const absl::Duration before = waits.computed();
    const absl::Time end = absl::Now() + absl::Milliseconds(50);
    while (absl::Now() < end) {
      const bool stuck = waits.check().Stuck(1);
      // (When it has its turn it may compute for long enough.)
      if (waits.computed() - before >= absl::Milliseconds(1)) break;
      EXPECT_FALSE(stuck);
    }
    stop = true;
  }
}

}  // namespace
}  // namespace spoolrpc::exec
