// Timers: order, cancelling, clocks that are moved by hand, destruction.
#include "spoolrpc/exec/timer_queue.h"

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace spoolrpc::exec {
namespace {

constexpr absl::Duration kBound = absl::Seconds(60);

class TimerQueueTest : public ::testing::Test {
 protected:
  os::Nanos In(absl::Duration time) const { return os::After(clock_.Now(), time); }
  // Returns when all that is due now has run: what is due at one time runs in its order.
  void RunDue() {
    absl::Notification ran;
    queue_.At(clock_.Now(), [&ran] { ran.Notify(); });
    ASSERT_TRUE(ran.WaitForNotificationWithTimeout(kBound));
  }
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    RunDue();
  }
  void Say(const std::string& word) {
    absl::MutexLock lock(&mu_);
    said_ += word;
  }
  std::string Said() {
    absl::MutexLock lock(&mu_);
    return said_;
  }

  testing::FakeClock clock_;
  absl::Mutex mu_;
  std::string said_ ABSL_GUARDED_BY(mu_);
  TimerQueue queue_{&clock_};  // last: its thread uses the rest
};

TEST_F(TimerQueueTest, RunsInTheOrderOfTheTimesAndThenOfTheCalls) {
  queue_.At(In(absl::Seconds(30)), [&] { Say("d"); });
  queue_.At(In(absl::Seconds(10)), [&] { Say("a"); });
  queue_.At(In(absl::Seconds(20)), [&] { Say("b"); });
  queue_.At(In(absl::Seconds(20)), [&] { Say("c"); });
  RunDue();
  EXPECT_EQ(Said(), "");
  Advance(absl::Seconds(10) - absl::Nanoseconds(1));
  EXPECT_EQ(Said(), "");
  Advance(absl::Nanoseconds(1));
  EXPECT_EQ(Said(), "a");
  Advance(absl::Seconds(100));
  EXPECT_EQ(Said(), "abcd");
}

TEST_F(TimerQueueTest, ATimeThatIsPastRunsAtOnce) {
  absl::Notification ran;
  queue_.At(clock_.Now() - 1, [&] { ran.Notify(); });
  EXPECT_TRUE(ran.WaitForNotificationWithTimeout(kBound));
  absl::Notification long_ago;
  queue_.At(0, [&] { long_ago.Notify(); });
  EXPECT_TRUE(long_ago.WaitForNotificationWithTimeout(kBound));
}

// Stands still, and tells when it is looked at.
class WatchedClock final : public os::Clock {
 public:
  os::Nanos Now() const override {
    absl::MutexLock lock(&mu_);
    ++looks_;
    return now_;
  }
  absl::Time WallTime() const override { return absl::UnixEpoch(); }
  void Set(os::Nanos now) {
    absl::MutexLock lock(&mu_);
    now_ = now;
    looks_ = 0;
  }
  // Waits until Now() was called since the last Set().
  void AwaitLook() {
    absl::MutexLock lock(&mu_);
    const auto looked = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return looks_ > 0; };
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&looked), kBound));
  }

 private:
  mutable absl::Mutex mu_;
  mutable int looks_ ABSL_GUARDED_BY(mu_) = 0;
  os::Nanos now_ ABSL_GUARDED_BY(mu_) = 0;
};

// Sets a timer and moves the clock there while the queue's thread sleeps. Returns how long it took
// until the timer ran.
absl::Duration TimeToNotice(bool wake) {
  WatchedClock clock;
  TimerQueue queue(&clock);
  absl::Notification ran;
  constexpr os::Nanos kHour = 3'600'000'000'000;
  queue.At(kHour, [&] { ran.Notify(); });
  clock.AwaitLook();
  queue.Cancel(0);  // takes the lock, so that the thread has given it back: it sleeps
  clock.Set(kHour);
  const absl::Time began = absl::Now();
  if (wake) queue.Wake();
  EXPECT_TRUE(ran.WaitForNotificationWithTimeout(kBound));
  return absl::Now() - began;
}

TEST_F(TimerQueueTest, AClockThatJumpsIsNoticedWithoutBeingTold) { TimeToNotice(false); }

TEST_F(TimerQueueTest, WakeHasTheClockLookedAt) {
  // Without it each takes a second.
  absl::Duration all;
  for (int i = 0; i < 30; ++i) all += TimeToNotice(true);
  EXPECT_LT(all, absl::Seconds(15));
}

TEST_F(TimerQueueTest, AnEarlierTimeThanThoseBeforeIsKept) {
  TimerQueue queue(os::Clock::Real());
  absl::Notification ran;
  const os::Nanos now = os::Clock::Real()->Now();
  queue.At(os::After(now, absl::Hours(10)), [] { ADD_FAILURE(); });
  const os::Nanos when = os::After(now, absl::Milliseconds(20));
  queue.At(when, [&] {
    EXPECT_GE(os::Clock::Real()->Now(), when);
    ran.Notify();
  });
  EXPECT_TRUE(ran.WaitForNotificationWithTimeout(kBound));
}

TEST_F(TimerQueueTest, NeverIsNever) {
  const TimerQueue::Id never = queue_.At(os::kNever, [&] { Say("never"); });
  Advance(absl::Hours(24 * 365 * 200));
  EXPECT_EQ(Said(), "");
  EXPECT_TRUE(queue_.Cancel(never));
}

TEST_F(TimerQueueTest, WhatIsCancelledDoesNotRun) {
  const TimerQueue::Id a = queue_.At(In(absl::Seconds(1)), [&] { Say("a"); });
  const TimerQueue::Id b = queue_.At(In(absl::Seconds(1)), [&] { Say("b"); });
  const TimerQueue::Id c = queue_.At(In(absl::Seconds(1)), [&] { Say("c"); });
  EXPECT_TRUE(queue_.Cancel(b));
  EXPECT_FALSE(queue_.Cancel(b));
  Advance(absl::Seconds(1));
  EXPECT_EQ(Said(), "ac");
  EXPECT_FALSE(queue_.Cancel(a));
  EXPECT_FALSE(queue_.Cancel(c));
  EXPECT_FALSE(queue_.Cancel(0));
  EXPECT_FALSE(queue_.Cancel(c + 1000));
}

TEST_F(TimerQueueTest, CancellingWhatRunsDoesNotWait) {
  absl::Notification running;
  absl::Notification go;
  const TimerQueue::Id id = queue_.At(clock_.Now(), [&] {
    running.Notify();
    EXPECT_TRUE(go.WaitForNotificationWithTimeout(kBound));
    Say("ran");
  });
  ASSERT_TRUE(running.WaitForNotificationWithTimeout(kBound));
  EXPECT_FALSE(queue_.Cancel(id));
  EXPECT_EQ(Said(), "");
  go.Notify();
  RunDue();
  EXPECT_EQ(Said(), "ran");
}

TEST_F(TimerQueueTest, AFunctionMayUseTheQueue) {
  const TimerQueue::Id later = queue_.At(In(absl::Seconds(2)), [&] { Say("never"); });
  queue_.At(In(absl::Seconds(1)), [&] {
    Say("a");
    EXPECT_TRUE(queue_.Cancel(later));
    queue_.At(In(absl::Seconds(1)), [&] { Say("b"); });
    queue_.Wake();
  });
  Advance(absl::Seconds(1));
  EXPECT_EQ(Said(), "a");
  Advance(absl::Seconds(1));
  EXPECT_EQ(Said(), "ab");
}

// Something that uses the queue when it is destroyed, as the last owner of a call may.
std::shared_ptr<int> UsesWhenDestroyed(TimerQueue* queue, absl::Notification* destroyed) {
  return std::shared_ptr<int>(new int, [queue, destroyed](int* value) {
    delete value;
    queue->Cancel(1234567);
    destroyed->Notify();
  });
}

TEST_F(TimerQueueTest, WhatAFunctionHoldsMayUseTheQueueWhenItGoes) {
  absl::Notification by_running;
  queue_.At(clock_.Now(), [held = UsesWhenDestroyed(&queue_, &by_running)] {});
  EXPECT_TRUE(by_running.WaitForNotificationWithTimeout(kBound));
  absl::Notification by_cancelling;
  const TimerQueue::Id id =
      queue_.At(os::kNever, [held = UsesWhenDestroyed(&queue_, &by_cancelling)] {});
  EXPECT_TRUE(queue_.Cancel(id));
  EXPECT_TRUE(by_cancelling.HasBeenNotified());
  absl::Notification by_dropping;
  auto queue = std::make_unique<TimerQueue>(&clock_);
  queue->At(os::kNever, [held = UsesWhenDestroyed(queue.get(), &by_dropping)] {});
  queue.reset();
  EXPECT_TRUE(by_dropping.HasBeenNotified());
}

TEST_F(TimerQueueTest, DestructionDropsWhatHasNotBegun) {
  const auto held = std::make_shared<int>(0);
  absl::Notification running;
  absl::Notification go;
  std::atomic<bool> ended{false};
  auto queue = std::make_unique<TimerQueue>(&clock_);
  queue->At(clock_.Now(), [&] {
    running.Notify();
    EXPECT_TRUE(go.WaitForNotificationWithTimeout(kBound));
    ended = true;
  });
  queue->At(In(absl::Seconds(1)), [held] { ++*held; });
  queue->At(os::kNever, [held] { ++*held; });
  ASSERT_TRUE(running.WaitForNotificationWithTimeout(kBound));
  go.Notify();
  queue.reset();
  EXPECT_TRUE(ended);
  EXPECT_EQ(*held, 0);
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(TimerQueueTest, DestructionOfAnUnusedQueue) { TimerQueue unused(&clock_); }

TEST_F(TimerQueueTest, ManyThreadsEachTimerRunsOnceOrIsCancelled) {
  constexpr int kThreads = 6;
  constexpr int kTimers = 3000;
  TimerQueue queue(os::Clock::Real());
  std::atomic<int> ran{0};
  std::atomic<int> cancelled{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(i);
      std::vector<TimerQueue::Id> mine;
      for (int timer = 0; timer < kTimers; ++timer) {
        const os::Nanos now = os::Clock::Real()->Now();
        mine.push_back(queue.At(now + random() % 2'000'000, [&ran] { ++ran; }));
        if (timer % 2 == 1 && queue.Cancel(mine[random() % mine.size()])) ++cancelled;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  absl::Notification last;
  queue.At(os::Clock::Real()->Now() + 2'000'001, [&] { last.Notify(); });
  ASSERT_TRUE(last.WaitForNotificationWithTimeout(kBound));
  EXPECT_EQ(ran + cancelled, kThreads * kTimers);
  EXPECT_GT(ran, 0);
  EXPECT_GT(cancelled, 0);
}

TEST(SharedTimerQueueTest, RunsOnTheRealClock) {
  const auto ran = std::make_shared<absl::Notification>();
  EXPECT_EQ(TimerQueue::Shared(), TimerQueue::Shared());
  TimerQueue::Shared()->At(os::After(os::Clock::Real()->Now(), absl::Milliseconds(1)),
                           [ran] { ran->Notify(); });
  EXPECT_TRUE(ran->WaitForNotificationWithTimeout(kBound));
}

}  // namespace
}  // namespace spoolrpc::exec
