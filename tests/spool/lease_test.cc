// Leases as pure arithmetic: when silence is a death, and when one may still act oneself.
#include "spoolrpc/spool/lease.h"

#include "gtest/gtest.h"

namespace spoolrpc::spool {
namespace {

constexpr os::Nanos kSecond = 1'000'000'000;
constexpr os::Nanos kTerm = 10 * kSecond;

class LeaseObserverTest : public ::testing::Test {
 protected:
  LeaseObserverTest() { observer_.Start(now_); }

  // A prompt reading, when it is due.
  void Read(uint64_t counter) {
    now_ = std::max(now_, observer_.next_reading());
    observer_.OnReading(observer_.next_reading(), now_, now_ + kSecond / 1000, counter);
    now_ += kSecond / 1000;
  }

  os::Nanos now_ = 1000 * kSecond;
  LeaseObserver observer_{kTerm};
};

TEST_F(LeaseObserverTest, FirstReadingIsDueSoonButNotAtOnce) {
  EXPECT_TRUE(observer_.watching());
  EXPECT_EQ(observer_.next_reading(), now_ + kTerm / LeaseObserver::kFirstReadingOfTerm);
  Read(1);
  EXPECT_EQ(observer_.next_reading(), now_ + kTerm / LeaseObserver::kReadingsPerTerm);
}

TEST_F(LeaseObserverTest, CounterThatStandsStillForATermExpires) {
  const os::Nanos began = now_;
  Read(7);
  while (!observer_.expired() && now_ < began + 5 * kTerm) Read(7);
  EXPECT_TRUE(observer_.expired());
  EXPECT_GE(now_ - began, kTerm);
  EXPECT_LE(now_ - began, kTerm + kTerm / 8 + kSecond / 10);
}

// The promise is 1.2 terms after the owner's last renewal, wherever that falls between two
// readings.
TEST_F(LeaseObserverTest, ExpiresWithinOnePointTwoTermsOfTheLastRenewal) {
  Read(1);
  const os::Nanos renewed = now_ + 1;
  while (!observer_.expired() && now_ < renewed + 5 * kTerm) Read(2);
  EXPECT_TRUE(observer_.expired());
  EXPECT_GE(now_ - renewed, kTerm);
  EXPECT_LE(now_ - renewed, kTerm / 5 * 6);
}

TEST_F(LeaseObserverTest, ExpiresWithinOnePointTwoTermsOfTheLastFrame) {
  Read(1);
  observer_.OnLife(++now_);
  const os::Nanos alive = now_;
  // A renewal of which no reading knew yet.
  while (!observer_.expired() && now_ < alive + 5 * kTerm) Read(2);
  EXPECT_TRUE(observer_.expired());
  EXPECT_LE(now_ - alive, kTerm / 5 * 6);
}

TEST_F(LeaseObserverTest, CounterThatMovesNeverExpires) {
  for (uint64_t counter = 1; counter < 100; ++counter) {
    Read(counter);
    Read(counter);
    Read(counter);
    ASSERT_FALSE(observer_.expired());
    ASSERT_LT(observer_.silence(), kTerm);
  }
}

TEST_F(LeaseObserverTest, AnyChangeOfTheCounterIsLife) {
  Read(5);
  Read(5);
  Read(4);
  EXPECT_EQ(observer_.silence(), 0);
}

TEST_F(LeaseObserverTest, ReadingThatCameLateAddsNothing) {
  Read(1);
  const os::Nanos planned = observer_.next_reading();
  observer_.OnReading(planned, planned + 35 * kSecond, planned + 35 * kSecond, 1);
  EXPECT_EQ(observer_.silence(), 0);
  now_ = planned + 35 * kSecond;
  Read(1);
  EXPECT_GT(observer_.silence(), 0);
  EXPECT_LE(observer_.silence(), kTerm / 4);
}

TEST_F(LeaseObserverTest, ReadingThatTookLongAddsNothing) {
  Read(1);
  const os::Nanos planned = observer_.next_reading();
  observer_.OnReading(planned, planned, planned + kTerm / 4, 1);
  EXPECT_EQ(observer_.silence(), 0);
  // Just below the limit it counts.
  const os::Nanos next = observer_.next_reading();
  observer_.OnReading(next, next, next + kTerm / 4 - 1, 1);
  EXPECT_EQ(observer_.silence(), kTerm / LeaseObserver::kReadingsPerTerm);
}

TEST_F(LeaseObserverTest, LongStallsNeverExpireALease) {
  // Every reading stalls for 35 s; the counter cannot move meanwhile.
  for (int i = 0; i < 100; ++i) {
    now_ = observer_.next_reading();
    observer_.OnReading(now_, now_, now_ + 35 * kSecond, 1);
    now_ += 35 * kSecond;
    ASSERT_FALSE(observer_.expired());
  }
}

TEST_F(LeaseObserverTest, FailedReadingsAddNothing) {
  Read(1);
  for (int i = 0; i < 100; ++i) {
    now_ = observer_.next_reading();
    observer_.OnFailedReading(now_);
    ASSERT_FALSE(observer_.expired());
  }
  EXPECT_EQ(observer_.silence(), 0);
  // The time of the failures does not count afterwards either.
  Read(1);
  EXPECT_LE(observer_.silence(), kTerm / 4);
}

TEST_F(LeaseObserverTest, FramesAreLife) {
  Read(1);
  for (int i = 0; i < 6; ++i) Read(1);
  EXPECT_GT(observer_.silence(), kTerm / 2);
  observer_.OnLife(now_);
  EXPECT_EQ(observer_.silence(), 0);
  Read(1);
  EXPECT_FALSE(observer_.expired());
}

TEST_F(LeaseObserverTest, StartsAnewAfterStop) {
  for (int i = 0; i < 8; ++i) Read(1);
  observer_.Stop();
  EXPECT_FALSE(observer_.watching());
  EXPECT_FALSE(observer_.expired());
  now_ += 100 * kTerm;
  observer_.Start(now_);
  EXPECT_EQ(observer_.silence(), 0);
  Read(1);
  EXPECT_EQ(observer_.silence(), 0);
}

TEST_F(LeaseObserverTest, StartWhileWatchingChangesNothing) {
  for (int i = 0; i < 4; ++i) Read(1);
  const os::Nanos silence = observer_.silence();
  observer_.Start(now_);
  EXPECT_EQ(observer_.silence(), silence);
}

TEST(OwnLeaseTest, NeverRenewedIsNotValid) {
  const OwnLease lease(kTerm);
  EXPECT_FALSE(lease.valid(0));
  EXPECT_TRUE(lease.due(0));
}

TEST(OwnLeaseTest, ValidForThreeQuartersOfItsTerm) {
  OwnLease lease(kTerm);
  lease.OnUnwatched(100 * kSecond);
  EXPECT_TRUE(lease.valid(100 * kSecond));
  EXPECT_FALSE(lease.due(100 * kSecond));
  EXPECT_TRUE(lease.due(100 * kSecond + kTerm / 4));
  EXPECT_TRUE(lease.valid(100 * kSecond + kTerm / 4 * 3 - 1));
  EXPECT_FALSE(lease.valid(100 * kSecond + kTerm / 4 * 3));
}

TEST(OwnLeaseTest, CountsFromTheBeginningOfARenewal) {
  OwnLease lease(kTerm);
  lease.OnUnwatched(100 * kSecond);
  lease.OnRenewed(102 * kSecond, 106 * kSecond);
  EXPECT_EQ(lease.renewed(), 102 * kSecond);
  EXPECT_TRUE(lease.valid(102 * kSecond + kTerm / 4 * 3 - 1));
  EXPECT_FALSE(lease.valid(102 * kSecond + kTerm / 4 * 3));
}

TEST(OwnLeaseTest, RenewalThatCameBackTooLateIsALapseThatNoLaterOneHides) {
  OwnLease lease(kTerm);
  lease.OnUnwatched(100 * kSecond);
  lease.OnRenewed(102 * kSecond, 100 * kSecond + kTerm / 4 * 3);
  EXPECT_FALSE(lease.valid(108 * kSecond));
  lease.OnRenewed(108 * kSecond, 108 * kSecond);
  EXPECT_FALSE(lease.valid(108 * kSecond));
  // Until it is begun anew.
  lease.Restart();
  EXPECT_FALSE(lease.valid(109 * kSecond));
  lease.OnRenewed(109 * kSecond, 109 * kSecond);
  EXPECT_TRUE(lease.valid(109 * kSecond));
}

TEST(OwnLeaseTest, WhatNobodyWatchedIsNoLapse) {
  OwnLease lease(kTerm);
  lease.OnUnwatched(100 * kSecond);
  EXPECT_FALSE(lease.valid(200 * kSecond));
  lease.OnUnwatched(200 * kSecond);
  EXPECT_TRUE(lease.valid(200 * kSecond));
  lease.OnUnwatched(150 * kSecond);  // no step back
  EXPECT_EQ(lease.renewed(), 200 * kSecond);
}

TEST(LeasesTest, NobodyActsOnALeaseThatAnyoneMayHaveSeenExpire) {
  // The owner renews once and then stops; the observer reads as promptly and as often as it can.
  for (os::Nanos offset = 0; offset < kTerm; offset += kTerm / 37) {
    const os::Nanos renewed = 50 * kSecond;
    OwnLease own(kTerm);
    own.OnUnwatched(renewed - kTerm / 2);
    own.OnRenewed(renewed, renewed);
    LeaseObserver observer(kTerm);
    os::Nanos now = renewed - offset;
    observer.Start(now);
    while (!observer.expired()) {
      now = std::max(now, observer.next_reading());
      observer.OnReading(now, now, now, now < renewed ? 1 : 2);
      ++now;
    }
    EXPECT_FALSE(own.valid(now));
  }
}

}  // namespace
}  // namespace spoolrpc::spool
