// Thread pools: order, how many threads, what destruction runs.
#include "spoolrpc/exec/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace spoolrpc::exec {
namespace {

constexpr absl::Duration kBound = absl::Seconds(60);

// A place where several threads meet.
class Meeting {
 public:
  // Waits until `count` threads are here; false after a minute.
  bool Arrive(int count) {
    absl::MutexLock lock(&mu_);
    ++here_;
    threads_.insert(std::this_thread::get_id());
    const auto all = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return here_ >= count; };
    return mu_.AwaitWithTimeout(absl::Condition(&all), kBound);
  }
  size_t threads() {
    absl::MutexLock lock(&mu_);
    return threads_.size();
  }

 private:
  absl::Mutex mu_;
  int here_ ABSL_GUARDED_BY(mu_) = 0;
  std::set<std::thread::id> threads_ ABSL_GUARDED_BY(mu_);
};

TEST(ThreadPoolTest, OneThreadRunsTasksInTheirOrder) {
  std::vector<int> ran;
  {
    ThreadPool pool(1);
    for (int i = 0; i < 1000; ++i) pool.Run([&ran, i] { ran.push_back(i); });
  }
  ASSERT_EQ(ran.size(), 1000);
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
}

TEST(ThreadPoolTest, RunWaitsForNoTask) {
  absl::Notification go;
  std::atomic<int> ran{0};
  ThreadPool pool(2);
  for (int i = 0; i < 2; ++i) {
    pool.Run([&] { EXPECT_TRUE(go.WaitForNotificationWithTimeout(kBound)); });
  }
  // Both threads are taken: what comes now is queued.
  for (int i = 0; i < 10000; ++i) pool.Run([&ran] { ++ran; });
  absl::Notification last;
  pool.Run([&last] { last.Notify(); });
  EXPECT_EQ(ran, 0);
  go.Notify();
  EXPECT_TRUE(last.WaitForNotificationWithTimeout(kBound));
  EXPECT_GE(ran, 9999);  // the other thread may still be in the last of them
}

TEST(ThreadPoolTest, AsManyTasksRunAtOnceAsThereAreThreads) {
  constexpr int kThreads = 5;
  Meeting meeting;
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  {
    ThreadPool pool(kThreads);
    for (int i = 0; i < 20 * kThreads; ++i) {
      pool.Run([&] {
        const int now = ++running;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        // The first five only get on if five run at once.
        EXPECT_TRUE(meeting.Arrive(kThreads));
        --running;
      });
    }
  }
  EXPECT_EQ(most, kThreads);
  EXPECT_EQ(meeting.threads(), kThreads);
}

TEST(ThreadPoolTest, ABlockedTaskHoldsUpNobodyWhileThreadsAreLeft) {
  absl::Notification go;
  ThreadPool pool(2);
  pool.Run([&] { EXPECT_TRUE(go.WaitForNotificationWithTimeout(kBound)); });
  for (int i = 0; i < 100; ++i) {
    absl::Notification done;
    pool.Run([&done] { done.Notify(); });
    ASSERT_TRUE(done.WaitForNotificationWithTimeout(kBound)) << i;
  }
  go.Notify();
}

TEST(ThreadPoolTest, DestructionRunsWhatIsQueuedAndWhatThatQueues) {
  constexpr int kDeep = 100;
  absl::Notification go;
  std::atomic<int> ran{0};
  std::function<void(int)> queue_next;
  {
    ThreadPool pool(3);
    queue_next = [&](int left) {
      ++ran;
      if (left > 0) pool.Run([&, left] { queue_next(left - 1); });
    };
    // Held up, so that the destructor finds the queue full.
    for (int i = 0; i < 3; ++i) {
      pool.Run([&] { EXPECT_TRUE(go.WaitForNotificationWithTimeout(kBound)); });
    }
    for (int i = 0; i < 10; ++i) pool.Run([&] { queue_next(kDeep); });
    go.Notify();
  }
  EXPECT_EQ(ran, 10 * (kDeep + 1));
}

TEST(ThreadPoolTest, DestructionOfAnUnusedPool) {
  ThreadPool unused(4);
  ThreadPool none(0);  // counts as one
}

TEST(ThreadPoolTest, WhatATaskHoldsIsReleasedBeforeTheNextAndMayUseThePool) {
  absl::Notification done;
  bool released = false;
  ThreadPool pool(1);
  {
    const std::shared_ptr<int> held(new int(0), [&](int* value) {
      delete value;
      released = true;
      pool.Run([&] { done.Notify(); });
    });
    pool.Run([held] { ++*held; });
  }
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kBound));
  EXPECT_TRUE(released);
}

TEST(ThreadPoolTest, ManyThreadsGiveTasks) {
  constexpr int kGivers = 8;
  constexpr int kTasks = 2000;
  std::atomic<int> ran{0};
  {
    ThreadPool pool(4);
    std::vector<std::thread> givers;
    for (int i = 0; i < kGivers; ++i) {
      givers.emplace_back([&] {
        for (int task = 0; task < kTasks; ++task) pool.Run([&ran] { ++ran; });
      });
    }
    for (std::thread& giver : givers) giver.join();
  }
  EXPECT_EQ(ran, kGivers * kTasks);
}

TEST(ThreadPoolTest, TheSharedPoolHasAtLeastTwoThreads) {
  // Lives on in the pool if the test gives up.
  const auto meeting = std::make_shared<Meeting>();
  const auto both = std::make_shared<absl::Notification>();
  EXPECT_EQ(ThreadPool::Shared(), ThreadPool::Shared());
  ThreadPool::Shared()->Run([meeting] { EXPECT_TRUE(meeting->Arrive(2)); });
  ThreadPool::Shared()->Run([meeting, both] {
    EXPECT_TRUE(meeting->Arrive(2));
    both->Notify();
  });
  EXPECT_TRUE(both->WaitForNotificationWithTimeout(kBound));
}

}  // namespace
}  // namespace spoolrpc::exec
