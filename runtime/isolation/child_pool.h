// The children of one isolated method: so many, started when they are first needed, replaced when
// they have ended.
#ifndef SPOOLRPC_ISOLATION_CHILD_POOL_H_
#define SPOOLRPC_ISOLATION_CHILD_POOL_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/isolation/child.h"
#include "spoolrpc/isolation/nursery.h"

namespace spoolrpc::isolation {

// Thread-safe. All children must have been given back, or dropped, before it is destroyed.
class ChildPool {
 public:
  // `nursery` must outlive the pool.
  ChildPool(Nursery* nursery, int size) : nursery_(nursery), size_(size) {}

  // An idle child, or a new one. Waits while all are busy; CANCELLED once `cancelled` says so, for
  // which Wake() must be called. Other errors are those of Nursery::NewChild().
  absl::StatusOr<std::shared_ptr<Child>> Acquire(const std::function<bool()>& cancelled)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);
  // Of a child that waits for its next call.
  void Release(std::shared_ptr<Child> child) ABSL_LOCKS_EXCLUDED(mu_);
  // Kills it; another one takes its place when it is needed.
  void Discard(const std::shared_ptr<Child>& child) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Nursery* const nursery_;
  const int size_;
  absl::Mutex mu_;
  absl::CondVar changed_;
  int busy_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::shared_ptr<Child>> idle_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::isolation

#endif  // SPOOLRPC_ISOLATION_CHILD_POOL_H_
