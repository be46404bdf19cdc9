#include "spoolrpc/link/flush_scope.h"

#include <atomic>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/exec/overdue_watch.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::link {
namespace {

// Less than whoever waits for it spins, or he sleeps meanwhile: with 50 us calls in flight came at
// half the rate.
constexpr os::Nanos kFlushAfter = 20'000;

// What one thread has put off.
class Deferred {
 public:
  Deferred()
      : work_(exec::OverdueWatch::Shared(), exec::OverdueWatch::Overdue::kLate,
              [this] { FlushWaiting(); }) {}

  void Add(std::shared_ptr<Flushable> flushable) {
    {
      absl::MutexLock lock(&mu_);
      if (waiting_.empty()) {
        since_ = os::Clock::Real()->Now();
        watched_ = false;
      }
      last_.store(flushable.get(), std::memory_order_relaxed);
      waiting_.push_back(std::move(flushable));
    }
    if (!unwatched) Watch();
  }

  void Watch() {
    if (watched_ || last_.load(std::memory_order_relaxed) == nullptr) return;
    watched_ = begun_ = true;
    work_.Begin();
  }

  bool FlushIfDue() {
    if (last_.load(std::memory_order_relaxed) == nullptr) return false;
    if (os::Clock::Real()->Now() - since_ < kFlushAfter) return false;
    FlushAll();
    return true;
  }

  void FlushAll() {
    if (std::exchange(begun_, false)) work_.End();
    FlushWaiting();
  }

  const Flushable* last() const { return last_.load(std::memory_order_relaxed); }

  // The thread's own.
  int depth = 0;           // scopes
  int aside = 0;           // FlushScope::Aside
  bool unwatched = false;  // FlushScope::Unwatched

 private:
  // By the thread, or the watch.
  void FlushWaiting() {
    if (last_.load(std::memory_order_relaxed) == nullptr) return;
    std::vector<std::shared_ptr<Flushable>> flush;
    {
      absl::MutexLock lock(&mu_);
      flush.swap(waiting_);
      last_.store(nullptr, std::memory_order_relaxed);
    }
    for (const auto& flushable : flush) flushable->FlushNow();
  }

  // Set under mu_; null: nothing waits.
  std::atomic<const Flushable*> last_{nullptr};
  // The thread's own.
  os::Nanos since_ = 0;
  bool watched_ = false;  // what waits is
  bool begun_ = false;    // work_ has
  absl::Mutex mu_;
  std::vector<std::shared_ptr<Flushable>> waiting_ ABSL_GUARDED_BY(mu_);
  exec::OverdueWatch::Work work_;
};

Deferred* ThisThread() {
  thread_local Deferred deferred;
  return &deferred;
}

// Without making one for a thread that has no scope.
thread_local Deferred* current = nullptr;

}  // namespace

FlushScope::Aside::Aside() {
  if (current == nullptr) return;
  current->Watch();
  ++current->aside;
}

FlushScope::Aside::~Aside() {
  if (current != nullptr) --current->aside;
}

FlushScope::FlushScope() {
  Deferred* const deferred = ThisThread();
  if (deferred->depth++ == 0) current = deferred;
  outer_aside_ = std::exchange(deferred->aside, 0);
}

FlushScope::~FlushScope() {
  current->aside = outer_aside_;
  if (--current->depth > 0) {
    // What an outer scope does not put off may not stay behind.
    if (outer_aside_ > 0) current->FlushAll();
    return;
  }
  Deferred* const deferred = std::exchange(current, nullptr);
  deferred->FlushAll();
}

FlushScope::Unwatched::Unwatched() {
  if (current != nullptr) current->unwatched = true;
}

FlushScope::Unwatched::~Unwatched() {
  if (current != nullptr) current->unwatched = false;
}

void FlushScope::Watch() {
  if (current != nullptr) current->Watch();
}

bool FlushScope::open() { return current != nullptr && current->aside == 0; }

const Flushable* FlushScope::last() { return current->last(); }

void FlushScope::Add(std::shared_ptr<Flushable> flushable) { current->Add(std::move(flushable)); }

bool FlushScope::FlushIfDue() { return current != nullptr && current->FlushIfDue(); }

void FlushScope::FlushAll() {
  if (current != nullptr) current->FlushAll();
}

}  // namespace spoolrpc::link
