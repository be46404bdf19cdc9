// When the owner of a durable call counts as gone, and what a server may still do under its lease.
#include "spoolrpc/spool/owner_watch.h"

#include "gtest/gtest.h"
#include "spoolrpc/spool/server_directory.h"
#include "spoolrpc/spool/server_lease.h"
#include "spoolrpc/spool/server_list.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(8);
constexpr os::Nanos kSecond = 1000000000;

class FakeHost final : public os::Host {
 public:
  os::ProcessId Self() const override { return os::Host::Real()->Self(); }
  os::Liveness Look(const os::ProcessId&) const override { return others; }
  int OpenPidfd(const os::ProcessId&) const override { return -1; }
  int Cpus() const override { return 2; }

  os::Liveness others = os::Liveness::kUnknown;
};

class OwnerWatchTest : public ::testing::Test {
 protected:
  OwnerWatchTest() {
    env_.clock = &clock_;
    env_.host = &host_;
    spool_ = *Spool::OpenOrCreate(env_, scratch_ / "spool", Transport::kLocal);
    watch_ = std::make_unique<OwnerWatch>(spool_);
    ServerRecord record;
    record.set_lease_term_ns(absl::ToInt64Nanoseconds(kTerm));
    owner_ = *ServerDirectory::Publish(spool_, record);
  }
  bool Gone() {
    return watch_->Gone(owner_->id(), owner_->record().process(), absl::ToInt64Nanoseconds(kTerm));
  }
  // Looks as often as it wants to be looked at.
  bool GoneAfter(absl::Duration time) {
    const os::Nanos end = clock_.Now() + absl::ToInt64Nanoseconds(time);
    bool gone = Gone();
    while (clock_.Now() < end && !gone) {
      clock_.Advance(absl::Nanoseconds(
          std::max<os::Nanos>(1, std::min(watch_->next_look(), end) - clock_.Now())));
      gone = Gone();
    }
    return gone;
  }

  const testing::ScratchDirectory scratch_;
  testing::FakeClock clock_;
  FakeHost host_;
  os::Environment env_;
  std::shared_ptr<const Spool> spool_;
  std::unique_ptr<OwnerWatch> watch_;
  std::unique_ptr<ServerDirectory> owner_;
};

TEST_F(OwnerWatchTest, TheKernelKnowsAtOnce) {
  EXPECT_FALSE(Gone());
  host_.others = os::Liveness::kDead;
  EXPECT_TRUE(Gone());
}

TEST_F(OwnerWatchTest, ALeaseThatStandsStillForATermHasExpired) {
  EXPECT_FALSE(GoneAfter(kTerm * 0.95));
  EXPECT_TRUE(GoneAfter(kTerm * 0.3));
}

TEST_F(OwnerWatchTest, ARenewalCountsAlsoOneThatCameAtTheLastReading) {
  EXPECT_FALSE(GoneAfter(kTerm * 0.9));
  ASSERT_OK(owner_->RenewLease(log::WriterState::kOpen, 0));
  EXPECT_FALSE(GoneAfter(kTerm * 0.9));
  EXPECT_TRUE(GoneAfter(kTerm * 0.4));
  // It was silent, and it is back: what it claims from now on is its own.
  ASSERT_OK(owner_->RenewLease(log::WriterState::kOpen, 0));
  EXPECT_FALSE(Gone());
}

TEST_F(OwnerWatchTest, OneWhoLooksTooRarelyLearnsNothing) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(Gone());
    clock_.Advance(kTerm);
  }
}

TEST_F(OwnerWatchTest, ALeaseThatWasRemovedStandsStill) {
  EXPECT_FALSE(Gone());
  owner_->Remove();
  EXPECT_FALSE(GoneAfter(kTerm * 0.9));
  EXPECT_TRUE(GoneAfter(kTerm * 0.4));
}

TEST(ServerLeaseTest, WhatWasClaimedBeforeALapseDoesNotHoldAfterIt) {
  ServerLease lease(8 * kSecond);
  EXPECT_FALSE(lease.Take(0).has_value()) << "not renewed yet";
  lease.OnRenewed(100 * kSecond, 100 * kSecond);
  const auto first = lease.Take(101 * kSecond);
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(lease.Holds(*first, 105 * kSecond));
  EXPECT_FALSE(lease.Holds(*first, 106 * kSecond)) << "three quarters of a term";
  EXPECT_FALSE(lease.Take(106 * kSecond).has_value());
  // It came too late; from then on it is good again for what is claimed then.
  lease.OnRenewed(107 * kSecond, 107 * kSecond);
  EXPECT_FALSE(lease.Holds(*first, 107 * kSecond));
  const auto second = lease.Take(107 * kSecond);
  ASSERT_TRUE(second.has_value());
  EXPECT_TRUE(lease.Holds(*second, 108 * kSecond));
  lease.OnRenewed(109 * kSecond, 109 * kSecond);
  EXPECT_TRUE(lease.Holds(*second, 114 * kSecond)) << "renewed in time";
}

TEST(ServerLeaseTest, ARenewalThatTakesTooLongIsALapse) {
  ServerLease lease(8 * kSecond);
  lease.OnRenewed(100 * kSecond, 100 * kSecond);
  const auto taken = lease.Take(100 * kSecond);
  lease.OnRenewed(102 * kSecond, 107 * kSecond);
  EXPECT_FALSE(lease.Holds(*taken, 107 * kSecond));
}

}  // namespace
}  // namespace spoolrpc::spool
