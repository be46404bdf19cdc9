#include "spoolrpc/server/server_context.h"

namespace spoolrpc {

const std::shared_ptr<const std::string>& ServerContext::Empty() {
  static const auto* const empty =
      new std::shared_ptr<const std::string>(std::make_shared<const std::string>());
  return *empty;
}

void ServerContext::NotifyOnCancel(std::function<void()> callback) {
  std::function<void()> watch;
  {
    absl::MutexLock lock(&mu_);
    if (!IsCancelled()) {
      on_cancel_.push_back(std::exchange(callback, nullptr));
      watch.swap(watch_deadline_);
    }
  }
  if (callback != nullptr) callback();
  if (watch != nullptr) watch();
}

bool ServerContext::BeginTelling() {
  absl::MutexLock lock(&mu_);
  if (over_) return false;
  ++telling_;
  return true;
}

void ServerContext::EndTelling() {
  absl::MutexLock lock(&mu_);
  if (--telling_ == 0) told_.SignalAll();
}

void ServerContext::StopTelling() {
  // Destroyed without the lock: what they hold may come here.
  std::vector<std::function<void()>> callbacks;
  std::function<void()> watch;
  absl::MutexLock lock(&mu_);
  over_ = true;
  callbacks.swap(on_cancel_);
  watch.swap(watch_deadline_);
  while (telling_ > 0) told_.Wait(&mu_);
}

}  // namespace spoolrpc
