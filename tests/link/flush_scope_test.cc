#include "spoolrpc/link/flush_scope.h"

#include <atomic>
#include <memory>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace spoolrpc::link {
namespace {

class Sink final : public Flushable, public std::enable_shared_from_this<Sink> {
 public:
  void FlushNow() override { ++flushes; }
  std::atomic<int> flushes{0};
};

TEST(FlushScopeTest, WithoutOneNothingIsPutOff) {
  const auto sink = std::make_shared<Sink>();
  EXPECT_FALSE(FlushScope::Defer(sink.get()));
  FlushScope::FlushIfDue();
  FlushScope::FlushAll();
  EXPECT_EQ(sink->flushes, 0);
}

TEST(FlushScopeTest, TheOutermostEndFlushesEachOnce) {
  const auto one = std::make_shared<Sink>();
  const auto other = std::make_shared<Sink>();
  {
    const FlushScope outer;
    {
      const FlushScope inner;
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(FlushScope::Defer(one.get()));
    }
    // (The watch may have flushed, had the thread stood still for a millisecond.)
    EXPECT_LE(one->flushes, 1);
    EXPECT_TRUE(FlushScope::Defer(other.get()));
  }
  EXPECT_GE(one->flushes, 1);
  EXPECT_GE(other->flushes, 1);
  EXPECT_FALSE(FlushScope::Defer(one.get()));
}

TEST(FlushScopeTest, FlushAllLeavesTheScopeOpen) {
  const auto sink = std::make_shared<Sink>();
  const FlushScope scope;
  EXPECT_TRUE(FlushScope::Defer(sink.get()));
  FlushScope::FlushAll();
  EXPECT_EQ(sink->flushes, 1);
  EXPECT_TRUE(FlushScope::Defer(sink.get()));
  FlushScope::FlushAll();
  EXPECT_EQ(sink->flushes, 2);
}

TEST(FlushScopeTest, AThreadThatIsStuckHoldsNothingBack) {
  const auto sink = std::make_shared<Sink>();
  const FlushScope scope;
  for (int round = 1; round <= 3; ++round) {
    EXPECT_TRUE(FlushScope::Defer(sink.get()));
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (sink->flushes < round && absl::Now() < end) std::this_thread::yield();
    EXPECT_EQ(sink->flushes, round);
  }
}

TEST(FlushScopeTest, WhatAProgramSendsIsNotPutOff) {
  const auto reply = std::make_shared<Sink>();
  const auto sent = std::make_shared<Sink>();
  const FlushScope scope;
  EXPECT_TRUE(FlushScope::Defer(reply.get()));
  {
    const FlushScope::Aside program;
    EXPECT_FALSE(FlushScope::Defer(sent.get()));
    {
      const FlushScope its_own;
      EXPECT_TRUE(FlushScope::Defer(sent.get()));
    }
    EXPECT_EQ(sent->flushes, 1);
    EXPECT_FALSE(FlushScope::Defer(sent.get()));
  }
  EXPECT_TRUE(FlushScope::Defer(sent.get()));
}

TEST(FlushScopeTest, AProgramThatIsStuckHoldsNoReplyBack) {
  const auto reply = std::make_shared<Sink>();
  const FlushScope scope;
  {
    const FlushScope::Unwatched no_program_runs;
    EXPECT_TRUE(FlushScope::Defer(reply.get()));
  }
  const FlushScope::Aside program;
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (reply->flushes == 0 && absl::Now() < end) std::this_thread::yield();
  EXPECT_EQ(reply->flushes, 1);
}

TEST(FlushScopeTest, WhatWaitsIsKeptAlive) {
  auto sink = std::make_shared<Sink>();
  const std::weak_ptr<Sink> weak = sink;
  {
    const FlushScope scope;
    EXPECT_TRUE(FlushScope::Defer(sink.get()));
    sink.reset();
  }
  EXPECT_TRUE(weak.expired());
}

}  // namespace
}  // namespace spoolrpc::link
