// Spinning goes on while it pays, and stops when it does not.
#include "spoolrpc/wait/spin_policy.h"

#include "gtest/gtest.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::wait {
namespace {

constexpr os::Nanos kMicrosecond = 1000;
constexpr os::Nanos kLimit = 50 * kMicrosecond;

// Each look at it takes a microsecond.
class TickingClock final : public os::Clock {
 public:
  os::Nanos Now() const override { return now_ += kMicrosecond; }
  absl::Time WallTime() const override { return absl::UnixEpoch(); }

 private:
  mutable os::Nanos now_ = 0;
};

class SpinPolicyTest : public ::testing::Test {
 protected:
  // How long a spin in vain takes.
  os::Nanos TimeInVain(SpinPolicy* policy, os::Nanos until = os::kNever) {
    const os::Nanos began = clock_.Now();
    EXPECT_FALSE(policy->Spin(clock_, began, until, [] { return false; }));
    return clock_.Now() - began;
  }

  TickingClock clock_;
};

TEST_F(SpinPolicyTest, SpinsUntilItIsDone) {
  SpinPolicy policy(2, kLimit);
  int looks = 0;
  EXPECT_TRUE(policy.Spin(clock_, clock_.Now(), os::kNever, [&] { return ++looks == 100; }));
  EXPECT_EQ(looks, 100);
}

TEST_F(SpinPolicyTest, SpinsForItsLimitAtMostAndLessAfterEachInVain) {
  SpinPolicy policy(2, kLimit);
  const os::Nanos first = TimeInVain(&policy);
  EXPECT_NEAR(first, kLimit, 3 * kMicrosecond);
  EXPECT_NEAR(TimeInVain(&policy), kLimit / 2, 3 * kMicrosecond);
  EXPECT_TRUE(policy.Spin(clock_, clock_.Now(), os::kNever, [] { return true; }));
  EXPECT_EQ(TimeInVain(&policy), first);
}

TEST_F(SpinPolicyTest, NotBeyondTheTimeThatItIsGiven) {
  SpinPolicy policy(2, kLimit);
  EXPECT_NEAR(TimeInVain(&policy, clock_.Now() + 10 * kMicrosecond), 10 * kMicrosecond,
              3 * kMicrosecond);
}

TEST_F(SpinPolicyTest, GivesUpWhereItNeverPaysButNotForGood) {
  SpinPolicy policy(2, kLimit);
  for (int i = 0; i < 10; ++i) TimeInVain(&policy);
  int spun = 0;
  for (int i = 0; i < 160; ++i) spun += TimeInVain(&policy) > 10 * kMicrosecond;
  EXPECT_EQ(spun, 10);
}

TEST_F(SpinPolicyTest, NeverOnOneCpu) {
  SpinPolicy policy(1, kLimit);
  EXPECT_FALSE(policy.Spin(clock_, clock_.Now(), os::kNever, [] { return true; }));
}

TEST_F(SpinPolicyTest, NotWithoutALimit) {
  SpinPolicy policy(8, 0);
  EXPECT_FALSE(policy.Spin(clock_, clock_.Now(), os::kNever, [] { return true; }));
}

}  // namespace
}  // namespace spoolrpc::wait
