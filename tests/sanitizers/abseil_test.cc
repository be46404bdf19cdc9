// What Abseil's synchronization orders must look ordered to ThreadSanitizer (tsan_abseil.cc). In
// other builds these tests show that the functions which that file replaces are used as it assumes.

#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace spoolrpc {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

// Runs `wait` here while another thread writes to a plain integer and then calls `tell`; `wait`
// must not return before.
void ExpectOrdered(const std::function<void()>& tell, const std::function<void()>& wait) {
  int plain = 0;
  std::thread other([&] {
    plain = 7;
    tell();
  });
  wait();
  EXPECT_EQ(plain, 7);
  other.join();
}

TEST(AbseilUnderThreadSanitizerTest, NotificationOrders) {
  absl::Notification told;
  ExpectOrdered([&] { told.Notify(); }, [&] { told.WaitForNotification(); });
}

TEST(AbseilUnderThreadSanitizerTest, NotificationWithTimeoutOrders) {
  absl::Notification told;
  ExpectOrdered([&] { told.Notify(); },
                [&] { EXPECT_TRUE(told.WaitForNotificationWithTimeout(kLong)); });
}

TEST(AbseilUnderThreadSanitizerTest, NotificationWithDeadlineOrders) {
  absl::Notification told;
  ExpectOrdered([&] { told.Notify(); },
                [&] { EXPECT_TRUE(told.WaitForNotificationWithDeadline(absl::Now() + kLong)); });
}

TEST(AbseilUnderThreadSanitizerTest, PolledNotificationOrders) {
  absl::Notification told;
  ExpectOrdered([&] { told.Notify(); },
                [&] {
                  while (!told.HasBeenNotified()) std::this_thread::yield();
                });
}

TEST(AbseilUnderThreadSanitizerTest, BlockingCounterOrders) {
  absl::BlockingCounter left(1);
  ExpectOrdered([&] { left.DecrementCount(); }, [&] { left.Wait(); });
}

// A flag under a mutex, set by Tell() and awaited in the ways there are.
class Flag {
 public:
  void Tell() {
    absl::MutexLock lock(&mutex_);
    set_ = true;
    changed_.SignalAll();
  }
  absl::Condition set() { return absl::Condition(&set_); }
  void WaitByVariable(const std::function<void()>& wait) {
    absl::MutexLock lock(&mutex_);
    while (!set_) wait();
  }
  absl::Mutex& mutex() { return mutex_; }
  absl::CondVar& changed() { return changed_; }

 private:
  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool set_ = false;
};

TEST(AbseilUnderThreadSanitizerTest, AwaitOrders) {
  Flag flag;
  ExpectOrdered([&] { flag.Tell(); },
                [&] {
                  absl::MutexLock lock(&flag.mutex());
                  flag.mutex().Await(flag.set());
                });
}

TEST(AbseilUnderThreadSanitizerTest, AwaitWithTimeoutOrders) {
  Flag flag;
  ExpectOrdered([&] { flag.Tell(); },
                [&] {
                  absl::MutexLock lock(&flag.mutex());
                  EXPECT_TRUE(flag.mutex().AwaitWithTimeout(flag.set(), kLong));
                });
}

TEST(AbseilUnderThreadSanitizerTest, LockWhenOrders) {
  Flag flag;
  ExpectOrdered([&] { flag.Tell(); },
                [&] {
                  flag.mutex().LockWhen(flag.set());
                  flag.mutex().Unlock();
                });
}

TEST(AbseilUnderThreadSanitizerTest, CondVarOrders) {
  Flag flag;
  ExpectOrdered([&] { flag.Tell(); },
                [&] { flag.WaitByVariable([&] { flag.changed().Wait(&flag.mutex()); }); });
}

TEST(AbseilUnderThreadSanitizerTest, CondVarWithDeadlineOrders) {
  Flag flag;
  ExpectOrdered([&] { flag.Tell(); },
                [&] {
                  flag.WaitByVariable(
                      [&] { flag.changed().WaitWithDeadline(&flag.mutex(), absl::Now() + kLong); });
                });
}

TEST(AbseilUnderThreadSanitizerTest, ReadersAreOrderedAfterTheWriterAndBeforeTheNext) {
  constexpr int kReaders = 4;
  absl::Mutex mutex;
  int value = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kReaders; ++i) {
    threads.emplace_back([&] {
      int seen = 0;
      while (seen == 0) {
        absl::ReaderMutexLock lock(&mutex);
        seen = value;
      }
    });
  }
  {
    absl::MutexLock lock(&mutex);
    value = 1;
  }
  while (!mutex.TryLock()) std::this_thread::yield();
  value = 2;
  mutex.Unlock();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(value, 2);
}

}  // namespace
}  // namespace spoolrpc
