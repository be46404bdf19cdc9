// When to look again: soon after something came, rarely after a long silence, within the bounds.
#include "spoolrpc/wait/poll_schedule.h"

#include "gtest/gtest.h"

namespace spoolrpc::wait {
namespace {

constexpr os::Nanos kMillisecond = 1'000'000;

PollInterval Bounds() { return {absl::Milliseconds(1), absl::Milliseconds(100)}; }

TEST(PollScheduleTest, ASixteenthOfTheSilenceWithinTheBounds) {
  const os::Nanos start = 5'000 * kMillisecond;
  const PollSchedule schedule(Bounds(), start);
  EXPECT_EQ(schedule.Next(start), start + kMillisecond);
  EXPECT_EQ(schedule.Next(start + 15 * kMillisecond), start + 16 * kMillisecond);
  EXPECT_EQ(schedule.Next(start + 160 * kMillisecond), start + 170 * kMillisecond);
  EXPECT_EQ(schedule.Next(start + 1600 * kMillisecond), start + 1700 * kMillisecond);
  EXPECT_EQ(schedule.Next(start + 16000 * kMillisecond), start + 16100 * kMillisecond);
}

TEST(PollScheduleTest, ActivityBeginsItAnew) {
  PollSchedule schedule(Bounds(), 0);
  const os::Nanos later = 60'000 * kMillisecond;
  EXPECT_EQ(schedule.Next(later), later + 100 * kMillisecond);
  schedule.OnActivity(later);
  EXPECT_EQ(schedule.Next(later), later + kMillisecond);
}

TEST(PollScheduleTest, BoundsThatMakeNoSenseAreMadeToFit) {
  PollInterval upside_down{absl::Milliseconds(50), absl::Milliseconds(1)};
  EXPECT_EQ(PollSchedule(upside_down, 0).Next(0), 50 * kMillisecond);
  PollInterval negative{-absl::Milliseconds(50), -absl::Milliseconds(1)};
  EXPECT_EQ(PollSchedule(negative, 0).Next(100), 100);
}

TEST(PollScheduleTest, LooksInASilenceGrowWithItsLogarithm) {
  const PollSchedule schedule({absl::Microseconds(200), absl::Seconds(10)}, 0);
  int looks = 0;
  for (os::Nanos now = 0; now < 60'000 * kMillisecond; now = schedule.Next(now)) ++looks;
  EXPECT_LT(looks, 250);
  EXPECT_GT(looks, 50);
}

}  // namespace
}  // namespace spoolrpc::wait
