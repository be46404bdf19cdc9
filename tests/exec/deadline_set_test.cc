#include "spoolrpc/exec/deadline_set.h"

#include <atomic>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace spoolrpc::exec {
namespace {

constexpr absl::Duration kBound = absl::Seconds(60);

class Entry final : public DeadlineSet::Entry {
 public:
  void OnDue() override { ++due; }
  std::atomic<int> due{0};
};

class DeadlineSetTest : public ::testing::Test {
 protected:
  os::Nanos In(absl::Duration time) const { return os::After(clock_.Now(), time); }
  // Returns when all that is due now has been told.
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    timers_.Wake();
    // A look may follow the first one a millisecond later.
    for (int i = 0; i < 2; ++i) {
      absl::Notification ran;
      timers_.At(clock_.Now(), [&ran] { ran.Notify(); });
      ASSERT_TRUE(ran.WaitForNotificationWithTimeout(kBound));
    }
  }

  testing::FakeClock clock_;
  TimerQueue timers_{&clock_};
  DeadlineSet set_{&clock_, &timers_};
};

TEST_F(DeadlineSetTest, EachIsToldAtItsTimeAndOnce) {
  Entry late, early, never;
  set_.Add(&late, In(absl::Seconds(20)));
  set_.Add(&early, In(absl::Seconds(10)));
  set_.Add(&never, os::kNever);
  Advance(absl::Seconds(10) - absl::Nanoseconds(1));
  EXPECT_EQ(early.due, 0);
  Advance(absl::Nanoseconds(1));
  EXPECT_EQ(early.due, 1);
  EXPECT_EQ(late.due, 0);
  Advance(absl::Seconds(10));
  EXPECT_EQ(late.due, 1);
  Advance(absl::Hours(1));
  EXPECT_EQ(early.due, 1);
  EXPECT_EQ(late.due, 1);
  EXPECT_EQ(never.due, 0);
  set_.Remove(&never);
}

TEST_F(DeadlineSetTest, WhatIsRemovedIsNotTold) {
  Entry one, other;
  set_.Add(&one, In(absl::Seconds(1)));
  set_.Add(&other, In(absl::Seconds(1)));
  set_.Remove(&one);
  set_.Remove(&one);
  Advance(absl::Seconds(1));
  EXPECT_EQ(one.due, 0);
  EXPECT_EQ(other.due, 1);
  set_.Remove(&other);  // nothing any more
  // And it may come again.
  set_.Add(&one, In(absl::Seconds(1)));
  Advance(absl::Seconds(1));
  EXPECT_EQ(one.due, 1);
}

TEST_F(DeadlineSetTest, OneThatIsEarlierThanAllOthersComesInTime) {
  std::deque<Entry> entries(100);
  for (int i = 0; i < 100; ++i) set_.Add(&entries[i], In(absl::Seconds(200 - i)));
  for (int i = 99; i >= 0; --i) {
    EXPECT_EQ(entries[i].due, 0);
    Advance(i == 99 ? absl::Seconds(101) : absl::Seconds(1));
    EXPECT_EQ(entries[i].due, 1);
  }
}

TEST_F(DeadlineSetTest, WithoutOneNoTimerIsLeft) {
  for (int round = 0; round < 100; ++round) {
    TimerQueue timers(os::Clock::Real());
    DeadlineSet set(os::Clock::Real(), &timers);
    Entry entry;
    set.Add(&entry, os::Clock::Real()->Now() + round * 10000);
    set.Remove(&entry);
  }
}

TEST(DeadlineSetThreadsTest, ManyAtOnce) {
  TimerQueue timers(os::Clock::Real());
  DeadlineSet set(os::Clock::Real(), &timers);
  std::atomic<int> told{0};
  std::atomic<int> removed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 2000; ++i) {
        Entry entry;
        set.Add(&entry, os::Clock::Real()->Now() + static_cast<os::Nanos>(random() % 200000));
        if (random() % 50 == 0) absl::SleepFor(absl::Milliseconds(2));
        set.Remove(&entry);
        // Afterwards nobody tells it any more: it may go.
        (entry.due == 1 ? told : removed)++;
        EXPECT_LE(entry.due, 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(told + removed, 8000);
  EXPECT_GT(told, 0);
  EXPECT_GT(removed, 0);
}

}  // namespace
}  // namespace spoolrpc::exec
