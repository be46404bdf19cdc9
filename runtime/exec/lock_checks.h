// Abseil's detector of deadlocks, which a release build does without.
#ifndef SPOOLRPC_EXEC_LOCK_CHECKS_H_
#define SPOOLRPC_EXEC_LOCK_CHECKS_H_

namespace spoolrpc::exec {

// Distributions build Abseil with its checks on: every Lock() and Unlock() of any absl::Mutex then
// takes one spin lock of the whole process, for a graph of who was locked under whom, and a small
// call spends about a third of its time there. In a build of this library with NDEBUG this turns
// the detector off, as an Abseil with NDEBUG has it; in others it does nothing, so that tests keep
// it. It is one setting for the process: who wants it on all the same calls
// absl::SetMutexDeadlockDetectionMode() after creating the first channel or server. Thread-safe.
void LeaveLocksUnchecked();

}  // namespace spoolrpc::exec

#endif  // SPOOLRPC_EXEC_LOCK_CHECKS_H_
