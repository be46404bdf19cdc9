// The calls of one service that last until somebody ends them, and the server that they belong to:
// so that a server that drains need not wait for them.
#ifndef SPOOLRPC_SERVICES_OPEN_STREAMS_H_
#define SPOOLRPC_SERVICES_OPEN_STREAMS_H_

#include <atomic>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/server/server_observer.h"

namespace spoolrpc::services {

// A call whose reactor looks at the state of its service when it is told to.
class OpenStream {
 public:
  // Something may have changed, or the server drains. Must neither block nor call
  // OpenStreams::Add(), Remove() or UpdateAll(). Any thread; several at once.
  virtual void Update() = 0;

 protected:
  ~OpenStream() = default;
};

// Thread-safe. Belongs to one server at a time.
class OpenStreams final : public ServerObserver {
 public:
  OpenStreams();
  OpenStreams(const OpenStreams&) = delete;
  OpenStreams& operator=(const OpenStreams&) = delete;

  // `stream` is told of what changes after this; what did before, it has to look at itself.
  void Add(OpenStream* stream) ABSL_LOCKS_EXCLUDED(mu_);
  // When this has returned, `stream` is told nothing any more. Waits for a running UpdateAll().
  void Remove(OpenStream* stream) ABSL_LOCKS_EXCLUDED(mu_);
  void UpdateAll() ABSL_LOCKS_EXCLUDED(mu_);

  // Whether all streams are to end: the server drains, or has stopped.
  bool draining() const { return draining_.load(std::memory_order_acquire); }
  // Whether the server drains for a second already: no client is waited for any more. The streams
  // that are still open then are told.
  bool overdue() const { return overdue_.load(std::memory_order_acquire); }
  // The services of the server, or of the last one; by their full names.
  std::vector<std::string> services() const ABSL_LOCKS_EXCLUDED(names_mu_);
  bool Serves(absl::string_view service) const ABSL_LOCKS_EXCLUDED(names_mu_);

  // ServerObserver. FAILED_PRECONDITION if there is a server already.
  absl::Status OnStart(const std::vector<std::string>& services) override
      ABSL_LOCKS_EXCLUDED(names_mu_);
  void OnDrain() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnStopped() override ABSL_LOCKS_EXCLUDED(names_mu_);

 private:
  std::atomic<bool> draining_{false};
  std::atomic<bool> overdue_{false};

  absl::Mutex mu_ ABSL_ACQUIRED_BEFORE(names_mu_);
  absl::flat_hash_set<OpenStream*> streams_ ABSL_GUARDED_BY(mu_);

  mutable absl::Mutex names_mu_;
  bool has_server_ ABSL_GUARDED_BY(names_mu_) = false;
  std::vector<std::string> services_ ABSL_GUARDED_BY(names_mu_);

  exec::TimerQueue::Id timer_ = 0;  // of OnDrain() and OnStopped(), which come one after the other
  exec::TimerQueue timers_;         // last: it runs what uses the rest
};

}  // namespace spoolrpc::services

#endif  // SPOOLRPC_SERVICES_OPEN_STREAMS_H_
