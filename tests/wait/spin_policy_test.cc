// Spinning goes on while it pays, and stops when it does not.
#include "spoolrpc/wait/spin_policy.h"

#include "gtest/gtest.h"

namespace spoolrpc::wait {
namespace {

constexpr os::Nanos kLimit = 50'000;

TEST(SpinPolicyTest, OneCpuNeverSpins) {
  SpinPolicy policy(1, kLimit);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(policy.Budget(), 0);
}

TEST(SpinPolicyTest, NoLimitNoSpin) {
  SpinPolicy policy(8, 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(policy.Budget(), 0);
}

TEST(SpinPolicyTest, SpinsThatWorkKeepTheWholeBudget) {
  SpinPolicy policy(2, kLimit);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(policy.Budget(), kLimit);
    policy.OnSpin(true);
  }
}

TEST(SpinPolicyTest, SpinsInVainCostLessAndLessButForAProbe) {
  SpinPolicy policy(2, kLimit);
  os::Nanos spent = 0;
  int spins = 0;
  for (int i = 0; i < 1600; ++i) {
    const os::Nanos budget = policy.Budget();
    EXPECT_LE(budget, kLimit);
    if (budget == 0) continue;
    ++spins;
    spent += budget;
    policy.OnSpin(false);
  }
  // One wait in sixteen at most, once it is known not to pay.
  EXPECT_LE(spins, 1600 / 16 + 20);
  EXPECT_GE(spins, 50);
  EXPECT_LE(spent, (1600 / 16 + 10) * kLimit);
}

TEST(SpinPolicyTest, OneSuccessRestoresIt) {
  SpinPolicy policy(2, kLimit);
  for (int i = 0; i < 20; ++i) policy.OnSpin(false);
  policy.OnSpin(true);
  EXPECT_EQ(policy.Budget(), kLimit);
}

}  // namespace
}  // namespace spoolrpc::wait
