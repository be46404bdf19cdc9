#include "spoolrpc/exec/overdue_watch.h"

#include <atomic>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace spoolrpc::exec {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);

TEST(OverdueWatchTest, TellsOncePerPiece) {
  OverdueWatch watch;
  absl::Mutex mu;
  int told = 0;
  OverdueWatch::Work work(&watch, OverdueWatch::Overdue::kLate, [&] {
    absl::MutexLock lock(&mu);
    ++told;
  });
  for (int piece = 1; piece <= 3; ++piece) {
    work.Begin();
    absl::MutexLock lock(&mu);
    const auto reached = [&] { return told == piece; };
    ASSERT_TRUE(mu.AwaitWithTimeout(absl::Condition(&reached), kLong));
    // (Long enough for a second time.)
    const auto more = [&] { return told > piece; };
    EXPECT_FALSE(mu.AwaitWithTimeout(absl::Condition(&more), absl::Milliseconds(10)));
  }
  work.End();
}

TEST(OverdueWatchTest, SaysNothingOfWhatHasEnded) {
  OverdueWatch watch;
  std::atomic<int> ended{0};
  OverdueWatch::Work work(&watch, OverdueWatch::Overdue::kLate, [&] { ++ended; });
  work.Begin();
  work.End();
  // Another one, which shows that the watch has looked since.
  absl::Notification told;
  OverdueWatch::Work other(&watch, OverdueWatch::Overdue::kLate, [&] { told.Notify(); });
  other.Begin();
  ASSERT_TRUE(told.WaitForNotificationWithTimeout(kLong));
  EXPECT_LE(ended, 1);  // (1: the thread stood still between the two lines)
  other.End();
}

TEST(OverdueWatchTest, WakesAfterALongTimeWithoutWork) {
  OverdueWatch watch;
  std::atomic<bool> told{false};
  OverdueWatch::Work work(&watch, OverdueWatch::Overdue::kLate, [&] { told = true; });
  absl::SleepFor(
      absl::Milliseconds(300));  // it is asleep by then, or on its way there: both must do
  work.Begin();
  const absl::Time end = absl::Now() + kLong;
  while (!told && absl::Now() < end) std::this_thread::yield();
  EXPECT_TRUE(told);
  work.End();
}

TEST(OverdueWatchTest, AThreadThatSleepsIsStuck) {
  OverdueWatch watch;
  absl::Notification told;
  OverdueWatch::Work work(&watch, OverdueWatch::Overdue::kStuck, [&] { told.Notify(); });
  work.Begin();
  EXPECT_TRUE(told.WaitForNotificationWithTimeout(kLong));
  work.End();
}

TEST(OverdueWatchTest, DestroyingWaitsForWhoIsTold) {
  OverdueWatch watch;
  for (int round = 0; round < 20; ++round) {
    absl::Notification inside;
    std::atomic<bool> left{false};
    {
      OverdueWatch::Work work(&watch, OverdueWatch::Overdue::kLate, [&] {
        inside.Notify();
        absl::SleepFor(absl::Milliseconds(2));
        left = true;
      });
      work.Begin();
      ASSERT_TRUE(inside.WaitForNotificationWithTimeout(kLong));
    }
    EXPECT_TRUE(left);
  }
}

}  // namespace
}  // namespace spoolrpc::exec
