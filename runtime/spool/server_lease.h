// A server's own lease, as those see it who claim durable calls under it (docs/protocol.md,
// section 10).
#ifndef SPOOLRPC_SPOOL_SERVER_LEASE_H_
#define SPOOLRPC_SPOOL_SERVER_LEASE_H_

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/spool/lease.h"

namespace spoolrpc::spool {

// Counts its lapses: what was claimed before one must not be executed after it, since others may
// have taken the lease for expired in between. Thread-safe; never blocks.
class ServerLease {
 public:
  explicit ServerLease(os::Nanos term) : term_(term), lease_(term) {}

  os::Nanos term() const { return term_; }

  // A renewing write that began at `began` had been flushed at `ended`, and the lease was still
  // under its name then.
  void OnRenewed(os::Nanos began, os::Nanos ended) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    lease_.OnRenewed(began, ended);
    if (lease_.valid(ended)) return;
    // It came too late. The next one that does not begins a new count.
    ++lapses_;
    lease_.Restart();
    lease_.OnRenewed(began, ended);
  }

  // For what is claimed from here on; none: nothing may be claimed now.
  std::optional<uint64_t> Take(os::Nanos now) const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return lease_.valid(now) ? std::make_optional(lapses_) : std::nullopt;
  }
  // Whether what was claimed with `taken` may be executed: no lapse since.
  bool Holds(uint64_t taken, os::Nanos now) const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return lapses_ == taken && lease_.valid(now);
  }

 private:
  const os::Nanos term_;
  mutable absl::Mutex mu_;
  OwnLease lease_ ABSL_GUARDED_BY(mu_);
  uint64_t lapses_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_SERVER_LEASE_H_
