#include "spoolrpc/wait/waker.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace spoolrpc::wait {
namespace {

constexpr os::Nanos kSecond = 1000000000;

TEST(WakerTest, WhoWasWokenBeforeDoesNotSleep) {
  Waker waker;
  const uint32_t seen = waker.word();
  waker.Wake();
  waker.Sleep(seen, 3600 * kSecond);
  EXPECT_NE(waker.word(), seen);
}

TEST(WakerTest, SleepsNoLongerThanItMay) {
  Waker waker;
  waker.Sleep(waker.word(), kSecond / 1000);
  waker.Sleep(waker.word(), 0);
  waker.Sleep(waker.word(), -1);
}

TEST(WakerTest, IsWokenByAnotherThread) {
  for (int round = 0; round < 1000; ++round) {
    Waker waker;
    std::atomic<bool> done{false};
    std::thread other([&] {
      waker.Wake();
      done.store(true, std::memory_order_release);
    });
    for (;;) {
      const uint32_t seen = waker.word();
      if (done.load(std::memory_order_acquire)) break;
      // (Woken before it is done: it looks again, now and then.)
      waker.Sleep(seen, kSecond / 1000);
    }
    other.join();
  }
}

TEST(WakerTest, InAScopeItIsWokenAtItsEnd) {
  Waker waker;
  std::atomic<bool> woken{false};
  const uint32_t seen = waker.word();
  std::thread sleeper([&] {
    waker.Sleep(seen, 3600 * kSecond);
    woken.store(true);
  });
  {
    const Waker::Scope scope;
    { const Waker::Scope inner; }
    waker.Wake();
    // Whoever looks sees it at once.
    EXPECT_NE(waker.word(), seen);
  }
  sleeper.join();
  EXPECT_TRUE(woken);
}

TEST(WakerTest, ManyMayBeWokenAtOnceAndBeGone) {
  constexpr int kCount = 20;
  std::vector<std::unique_ptr<Waker>> wakers;
  for (int i = 0; i < kCount; ++i) wakers.push_back(std::make_unique<Waker>());
  std::vector<std::thread> sleepers;
  for (const auto& waker : wakers) {
    sleepers.emplace_back(
        [one = waker.get(), seen = waker->word()] { one->Sleep(seen, 3600 * kSecond); });
  }
  const Waker::Scope outer;
  {
    const Waker::Scope scope;
    for (const auto& waker : wakers) waker->Wake();
  }
  for (std::thread& sleeper : sleepers) sleeper.join();
  {
    // Of one that is gone only the address is used.
    const Waker::Scope scope;
    wakers.front()->Wake();
    wakers.clear();
  }
}

}  // namespace
}  // namespace spoolrpc::wait
