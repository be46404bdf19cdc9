#include "spoolrpc/exec/ticker.h"

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace spoolrpc::exec {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

// Counts ticks, and is busy as long as a test says so.
class Counted {
 public:
  Counted() : ticker_(absl::Milliseconds(1), [this] { return Tick(); }) {}

  void SetBusy(bool busy) {
    absl::MutexLock lock(&mu_);
    busy_ = busy;
  }
  int ticks() const {
    absl::MutexLock lock(&mu_);
    return ticks_;
  }
  bool AwaitTicks(int count) {
    absl::MutexLock lock(&mu_);
    const auto reached = [this, count]()
                             ABSL_SHARED_LOCKS_REQUIRED(mu_) { return ticks_ >= count; };
    return mu_.AwaitWithTimeout(absl::Condition(&reached), kLong);
  }
  Ticker& ticker() { return ticker_; }

 private:
  bool Tick() {
    absl::MutexLock lock(&mu_);
    ++ticks_;
    return busy_;
  }

  mutable absl::Mutex mu_;
  int ticks_ ABSL_GUARDED_BY(mu_) = 0;
  bool busy_ ABSL_GUARDED_BY(mu_) = true;
  Ticker ticker_;  // ends first
};

TEST(TickerTest, TicksAsLongAsThereIsSomethingToLookAfter) {
  Counted counted;
  counted.ticker().Start();
  EXPECT_TRUE(counted.AwaitTicks(100));
}

TEST(TickerTest, SleepsWhenThereIsNothing) {
  Counted counted;
  counted.SetBusy(false);
  counted.ticker().Start();
  // As many as it takes to go to sleep, and not one more, while another one goes on.
  EXPECT_TRUE(counted.AwaitTicks(20));
  Counted other;
  other.ticker().Start();
  EXPECT_TRUE(other.AwaitTicks(50));
  EXPECT_EQ(counted.ticks(), 20);
}

TEST(TickerTest, ActivityWakesIt) {
  Counted counted;
  counted.SetBusy(false);
  counted.ticker().Start();
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(counted.AwaitTicks(20 * i));
    counted.ticker().OnActivity();
  }
  EXPECT_TRUE(counted.AwaitTicks(120));
}

TEST(TickerTest, MayBeStoppedTwiceAndWithoutHavingBegun) {
  Counted counted;
  counted.ticker().Stop();
  EXPECT_EQ(counted.ticks(), 0);
  Counted started;
  started.ticker().Start();
  EXPECT_TRUE(started.AwaitTicks(1));
  started.ticker().Stop();
  started.ticker().Stop();
}

}  // namespace
}  // namespace spoolrpc::exec
