#include "spoolrpc/server/server_context.h"

namespace spoolrpc {

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

}  // namespace spoolrpc
