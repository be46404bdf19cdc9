#include "spoolrpc/exec/timer_queue.h"

#include <algorithm>

#include "absl/time/time.h"

namespace spoolrpc::exec {
namespace {

// The condition variable waits on another clock than ours: whatever one of them does, the other is
// looked at again by then.
constexpr os::Nanos kLongestWait = 1'000'000'000;

}  // namespace

TimerQueue::TimerQueue(os::Clock* clock) : clock_(clock) {}

TimerQueue::~TimerQueue() {
  std::thread thread;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    thread.swap(thread_);
    changed_.Signal();
  }
  if (thread.joinable()) thread.join();
  // What the functions hold may come here when it is destroyed: this object is still whole, and
  // unlocked.
  std::map<Key, std::function<void()>> dropped;
  {
    absl::MutexLock lock(&mu_);
    dropped.swap(timers_);
    times_.clear();
  }
}

TimerQueue::Id TimerQueue::At(os::Nanos when, std::function<void()> fn) {
  absl::MutexLock lock(&mu_);
  const Id id = next_id_++;
  const auto place = timers_.emplace(Key(when, id), std::move(fn)).first;
  times_.emplace(id, when);
  if (!thread_.joinable()) {
    if (!stopping_) thread_ = std::thread([this] { Work(); });
  } else if (place == timers_.begin()) {
    changed_.Signal();
  }
  return id;
}

bool TimerQueue::Cancel(Id id) {
  // Destroyed after the lock is given back: what it holds may come here when it is.
  std::function<void()> fn;
  absl::MutexLock lock(&mu_);
  const auto time = times_.find(id);
  if (time == times_.end()) return false;
  const auto timer = timers_.find(Key(time->second, id));
  fn = std::move(timer->second);
  timers_.erase(timer);
  times_.erase(time);
  return true;
}

void TimerQueue::Wake() {
  absl::MutexLock lock(&mu_);
  changed_.Signal();
}

void TimerQueue::Work() {
  absl::MutexLock lock(&mu_);
  while (!stopping_) {
    const auto first = timers_.begin();
    if (first == timers_.end() || first->first.first == os::kNever) {
      changed_.Wait(&mu_);
      continue;
    }
    const os::Nanos when = first->first.first;
    const os::Nanos now = clock_->Now();
    if (when > now) {
      changed_.WaitWithTimeout(&mu_, absl::Nanoseconds(std::min(when - now, kLongestWait)));
      continue;
    }
    std::function<void()> fn = std::move(first->second);
    times_.erase(first->first.second);
    timers_.erase(first);
    mu_.Unlock();
    fn();
    fn = nullptr;  // before the lock, as in Cancel()
    mu_.Lock();
  }
}

TimerQueue* TimerQueue::Shared() {
  static TimerQueue* const queue = new TimerQueue(os::Clock::Real());
  return queue;
}

}  // namespace spoolrpc::exec
