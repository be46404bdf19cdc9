// What a server has been told about stopping: by its program, or from elsewhere through a spool.
#ifndef SPOOLRPC_SERVER_STOP_SIGNAL_H_
#define SPOOLRPC_SERVER_STOP_SIGNAL_H_

#include <algorithm>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace spoolrpc::server {

// Who asks later can only bring the deadline forward. Thread-safe.
class StopSignal {
 public:
  // Until when handlers may go on that run; then they are cancelled.
  absl::Time deadline() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return deadline_;
  }
  void BringForward(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    deadline_ = std::min(deadline_, deadline);
  }

  // Somebody has asked for a stop through a spool.
  void Ask(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    deadline_ = std::min(deadline_, deadline);
    asked_ = true;
  }
  // Blocks until Ask() or Close(). True: somebody has asked.
  bool AwaitAsked() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(
        +[](const StopSignal* self)
             ABSL_EXCLUSIVE_LOCKS_REQUIRED(self->mu_) { return self->asked_ || self->closed_; },
        this));
    return asked_;
  }
  // Nobody is to wait any more.
  void Close() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    closed_ = true;
  }

 private:
  mutable absl::Mutex mu_;
  absl::Time deadline_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  bool asked_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_STOP_SIGNAL_H_
