// When the batcher starts a batch, and with how many calls, by a clock that the test moves.
#include "spoolrpc/server/batcher.h"

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/metrics/gauge.h"
#include "spoolrpc/server/executor.h"
#include "tests/testing/fake_clock.h"

namespace spoolrpc::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kBound = absl::Seconds(60);
constexpr absl::Duration kDelay = absl::Seconds(10);

// One worker. The batcher never looks into a call: nulls do.
class BatcherTest : public ::testing::Test {
 protected:
  ~BatcherTest() override {
    if (batcher_ != nullptr) batcher_->Stop();
    Release();
    executor_.Stop();
  }

  void Begin(int max_size, absl::Duration max_delay, size_t room = 1000) {
    BatcherOptions options;
    options.spec = {max_size, absl::ToInt64Nanoseconds(max_delay)};
    options.max_waiting = room;
    options.clock = &clock_;
    options.timers = &timers_;
    options.executor = &executor_;
    options.run = [this](Batcher::Calls calls) {
      absl::MutexLock lock(&mu_);
      sizes_.push_back(static_cast<int>(calls.size()));
    };
    batcher_ = std::make_shared<Batcher>(std::move(options));
  }
  // Returns how many there was no room for.
  size_t Add(int count) { return batcher_->Add(Batcher::Calls(count)).size(); }
  // Moves the clock, and waits until all that is due then has been done: what is due at one time is
  // done in the order in which it was asked for.
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    absl::Notification looked;
    timers_.At(clock_.Now(), [&] { looked.Notify(); });
    ASSERT_TRUE(looked.WaitForNotificationWithTimeout(kBound));
  }
  // The worker has nothing else to do until Release().
  void Occupy() {
    absl::Notification occupied;
    executor_.SubmitTurn([&] {
      occupied.Notify();
      released_.WaitForNotification();
    });
    ASSERT_TRUE(occupied.WaitForNotificationWithTimeout(kBound));
  }
  void Release() {
    if (!released_.HasBeenNotified()) released_.Notify();
  }
  // Those of the batches that were due so far.
  std::vector<int> Sizes() {
    EXPECT_TRUE(executor_.WaitIdle(absl::Now() + kBound));
    absl::MutexLock lock(&mu_);
    return sizes_;
  }

  testing::FakeClock clock_;
  absl::Mutex mu_;
  std::vector<int> sizes_ ABSL_GUARDED_BY(mu_);
  absl::Notification released_;
  metrics::Gauge queue_;
  Executor executor_{1, 1000, [](const std::shared_ptr<ServerCall>&) {}, &queue_};
  std::shared_ptr<Batcher> batcher_;
  exec::TimerQueue timers_{&clock_};  // last: its thread uses the rest
};

TEST_F(BatcherTest, PartialBatchStartsWhenItsFirstCallHasWaitedForMaxDelay) {
  Begin(4, kDelay);
  EXPECT_EQ(Add(1), 0);
  Advance(kDelay - absl::Nanoseconds(1));
  EXPECT_EQ(Add(1), 0);
  EXPECT_THAT(Sizes(), IsEmpty());
  Advance(absl::Nanoseconds(1));
  EXPECT_THAT(Sizes(), ElementsAre(2));
  // The next one has its own time.
  EXPECT_EQ(Add(1), 0);
  Advance(kDelay - absl::Nanoseconds(1));
  EXPECT_THAT(Sizes(), ElementsAre(2));
  Advance(absl::Nanoseconds(1));
  EXPECT_THAT(Sizes(), ElementsAre(2, 1));
}

TEST_F(BatcherTest, FullBatchesStartAtOnceAndTheRestWaits) {
  Begin(4, kDelay);
  EXPECT_EQ(Add(3), 0);
  EXPECT_THAT(Sizes(), IsEmpty());
  Advance(kDelay / 2);
  EXPECT_EQ(Add(7), 0);
  EXPECT_THAT(Sizes(), ElementsAre(4, 4));
  // The timer was that of the first three.
  Advance(kDelay / 2);
  EXPECT_THAT(Sizes(), ElementsAre(4, 4));
  Advance(kDelay / 2);
  EXPECT_THAT(Sizes(), ElementsAre(4, 4, 2));
}

TEST_F(BatcherTest, BatchThatWaitsForAWorkerTakesWhatComesMeanwhile) {
  Begin(4, kDelay);
  Occupy();
  EXPECT_EQ(Add(1), 0);
  Advance(kDelay);
  EXPECT_EQ(Add(2), 0);
  Release();
  EXPECT_THAT(Sizes(), ElementsAre(3));
  // And no turn is left over that would start the next one too early.
  EXPECT_EQ(Add(1), 0);
  EXPECT_THAT(Sizes(), ElementsAre(3));
  Advance(kDelay);
  EXPECT_THAT(Sizes(), ElementsAre(3, 1));
}

TEST_F(BatcherTest, WithoutADelayABatchIsWhatIsThere) {
  Begin(4, absl::ZeroDuration());
  EXPECT_EQ(Add(1), 0);
  EXPECT_THAT(Sizes(), ElementsAre(1));
  Occupy();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Add(1), 0);
  Release();
  EXPECT_THAT(Sizes(), ElementsAre(1, 4, 2));
}

TEST_F(BatcherTest, CallsForWhichThereIsNoRoomComeBack) {
  Begin(4, kDelay, /*room=*/3);
  EXPECT_EQ(Add(2), 0);
  EXPECT_EQ(Add(3), 2);
  EXPECT_EQ(Add(1), 1);
  Advance(kDelay);
  EXPECT_THAT(Sizes(), ElementsAre(3));
  EXPECT_EQ(Add(1), 0);
}

TEST_F(BatcherTest, WhatIsTakenOutIsNotRunAndNothingWaitsAnyMore) {
  Begin(4, kDelay);
  EXPECT_EQ(Add(3), 0);
  EXPECT_EQ(batcher_->TakeWaiting().size(), 3);
  EXPECT_EQ(Add(1), 0);
  EXPECT_THAT(Sizes(), ElementsAre(1));
  Advance(2 * kDelay);
  EXPECT_THAT(Sizes(), ElementsAre(1));
}

TEST_F(BatcherTest, StopDropsWhatWaits) {
  Begin(4, kDelay);
  EXPECT_EQ(Add(3), 0);
  batcher_->Stop();
  EXPECT_EQ(Add(1), 1);
  Advance(2 * kDelay);
  EXPECT_THAT(Sizes(), IsEmpty());
}

// A turn is in its place among the calls, and stays when those are taken out.
TEST_F(BatcherTest, TurnsStayInTheQueueWhenCallsAreTakenOut) {
  Begin(4, absl::ZeroDuration());
  Occupy();
  EXPECT_TRUE(executor_.Submit(nullptr));
  EXPECT_EQ(Add(2), 0);
  EXPECT_TRUE(executor_.Submit(nullptr));
  EXPECT_EQ(executor_.TakeQueued().size(), 2);
  Release();
  EXPECT_THAT(Sizes(), ElementsAre(2));
}

TEST_F(BatcherTest, CallsThatWaitAreCountedOnceWhereverTheyDo) {
  Begin(4, kDelay, /*room=*/4);
  Occupy();
  EXPECT_EQ(Add(3), 0);
  EXPECT_EQ(queue_.value(), 3);
  EXPECT_TRUE(executor_.Submit(nullptr));
  EXPECT_EQ(queue_.value(), 4);
  // Of two there is room for one; and now the batch is full, and its turn is in the queue.
  EXPECT_EQ(Add(2), 1);
  EXPECT_EQ(queue_.value(), 5);
  EXPECT_TRUE(executor_.Submit(nullptr));
  EXPECT_EQ(executor_.TakeQueued().size(), 2);
  EXPECT_EQ(queue_.value(), 4);
  EXPECT_TRUE(executor_.Submit(nullptr));
  EXPECT_EQ(queue_.value(), 5);
  Release();
  EXPECT_THAT(Sizes(), ElementsAre(4));
  EXPECT_EQ(queue_.value(), 0);
  EXPECT_EQ(Add(2), 0);
  EXPECT_EQ(queue_.value(), 2);
  EXPECT_EQ(batcher_->TakeWaiting().size(), 2);
  EXPECT_EQ(queue_.value(), 0);
}

TEST_F(BatcherTest, WhatIsDroppedWaitsNoMore) {
  Begin(4, kDelay);
  Occupy();
  EXPECT_EQ(Add(5), 0);
  EXPECT_TRUE(executor_.Submit(nullptr));
  EXPECT_EQ(queue_.value(), 6);
  batcher_->Stop();
  EXPECT_EQ(queue_.value(), 1);
  std::thread stop([this] { executor_.Stop(); });
  // Until that has begun; the worker takes nothing more then.
  while (executor_.Submit(nullptr)) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_GE(queue_.value(), 1);
  EXPECT_LT(queue_.value(), 1000);  // or it was refused for want of room
  Release();
  stop.join();
  EXPECT_EQ(queue_.value(), 0);
}

}  // namespace
}  // namespace spoolrpc::server
