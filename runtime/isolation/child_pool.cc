#include "spoolrpc/isolation/child_pool.h"

#include <utility>

namespace spoolrpc::isolation {

absl::StatusOr<std::shared_ptr<Child>> ChildPool::Acquire(const std::function<bool()>& cancelled) {
  {
    absl::MutexLock lock(&mu_);
    while (busy_ >= size_ && !cancelled()) changed_.Wait(&mu_);
    if (cancelled()) return absl::CancelledError("");
    ++busy_;
    while (!idle_.empty()) {
      // The one that ran last: its memory is warm. (One that has ended while it was idle, killed by
      // somebody, costs no call.)
      std::shared_ptr<Child> child = std::move(idle_.back());
      idle_.pop_back();
      if (!child->AwaitEnd(absl::ZeroDuration()).has_value()) return child;
    }
  }
  auto child = nursery_->NewChild();
  if (child.ok()) return std::shared_ptr<Child>(*std::move(child));
  absl::MutexLock lock(&mu_);
  --busy_;
  changed_.Signal();
  return child.status();
}

void ChildPool::Wake() {
  absl::MutexLock lock(&mu_);
  changed_.SignalAll();
}

void ChildPool::Release(std::shared_ptr<Child> child) {
  absl::MutexLock lock(&mu_);
  idle_.push_back(std::move(child));
  --busy_;
  changed_.Signal();
}

void ChildPool::Discard(const std::shared_ptr<Child>& child) {
  child->Kill();
  absl::MutexLock lock(&mu_);
  --busy_;
  changed_.Signal();
}

}  // namespace spoolrpc::isolation
