#include "spoolrpc/os/clock.h"

#include "gtest/gtest.h"
#include "spoolrpc/os/random.h"
#include "tests/testing/fake_clock.h"

namespace spoolrpc::os {
namespace {

TEST(Clock, GoesForward) {
  const Nanos first = Clock::Real()->Now();
  EXPECT_GT(first, 0);
  EXPECT_GE(Clock::Real()->Now(), first);
  EXPECT_GT(Clock::Real()->WallTime(), absl::FromUnixSeconds(1577836800)) << "not before 2020";
}

TEST(After, AddsAndEndsAtNever) {
  EXPECT_EQ(After(5, absl::Nanoseconds(7)), 12);
  EXPECT_EQ(After(5, absl::Nanoseconds(-7)), -2);
  EXPECT_EQ(After(5, absl::InfiniteDuration()), kNever);
  EXPECT_EQ(After(kNever - 1, absl::Nanoseconds(1)), kNever);
  EXPECT_EQ(After(kNever - 1, absl::Nanoseconds(2)), kNever);
  EXPECT_EQ(After(kNever, absl::ZeroDuration()), kNever);
  EXPECT_EQ(After(kNever, absl::Hours(24 * 365 * 1000)), kNever);
  EXPECT_LT(After(0, -absl::InfiniteDuration()), 0);
}

TEST(FakeClock, MovesByHandAlone) {
  ::spoolrpc::testing::FakeClock clock;
  const Nanos start = clock.Now();
  const absl::Time wall = clock.WallTime();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(absl::Seconds(35));
  EXPECT_EQ(clock.Now() - start, 35'000'000'000);
  EXPECT_EQ(clock.WallTime() - wall, absl::Seconds(35));
}

TEST(Random, BytesAreAsManyAsAskedForAndNeverTheSame) {
  EXPECT_EQ(RandomBytes(0).size(), 0);
  // More than getrandom() gives at once without a chance of interruption.
  EXPECT_EQ(RandomBytes(100000).size(), 100000);
  EXPECT_NE(RandomBytes(16), RandomBytes(16));
  EXPECT_NE(RandomUint64(), RandomUint64());
}

}  // namespace
}  // namespace spoolrpc::os
