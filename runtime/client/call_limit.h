// How many calls of a channel are under way, and what happens to one too many.
#ifndef SPOOLRPC_CLIENT_CALL_LIMIT_H_
#define SPOOLRPC_CLIENT_CALL_LIMIT_H_

#include <atomic>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::client {

// Thread-safe; without a lock while there is room.
class CallLimit {
 public:
  explicit CallLimit(int most) : most_(most) {}

  // Takes a place; false: there is none.
  bool TryAcquire();
  // The same, and waits for one until `deadline`, or until `cancelled`.
  bool Acquire(const os::Clock& clock, os::Nanos deadline, const std::function<bool()>& cancelled)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Release() ABSL_LOCKS_EXCLUDED(mu_);
  // Wakes those who wait, to look whether they were cancelled.
  void WakeAll() ABSL_LOCKS_EXCLUDED(mu_);

  int in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  int most() const { return most_; }

 private:
  const int most_;
  std::atomic<int> in_flight_{0};
  std::atomic<int> waiting_{0};
  absl::Mutex mu_;
  absl::CondVar changed_;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_CALL_LIMIT_H_
