#include "spoolrpc/exec/lock_checks.h"

#include "absl/synchronization/mutex.h"

namespace spoolrpc::exec {

void LeaveLocksUnchecked() {
#ifdef NDEBUG
  static const bool done = [] {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    return true;
  }();
  static_cast<void>(done);
#endif
}

}  // namespace spoolrpc::exec
