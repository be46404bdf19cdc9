// What went wrong in handlers, for the host program to ask for.
#ifndef SPOOLRPC_SERVER_FAILURE_LOG_H_
#define SPOOLRPC_SERVER_FAILURE_LOG_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace spoolrpc::server {

// Thread-safe. Keeps the first failure and counts the others.
class FailureLog {
 public:
  void Add(const absl::Status& failure) ABSL_LOCKS_EXCLUDED(mu_);
  // The first failure since the last call of this, with how many others there were; OK if none.
  absl::Status Take() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Mutex mu_;
  absl::Status first_ ABSL_GUARDED_BY(mu_);
  uint64_t others_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_FAILURE_LOG_H_
