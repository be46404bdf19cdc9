// Gathers the calls of one method, whichever sessions they came on, into batches.
//
// Calls wait here, not on a worker. When a batch is due (max_size calls wait, or the first of them
// has waited for max_delay) the batcher asks the method's executor for a *turn*; the worker that
// gets to it takes what waits by then, at most max_size calls. So with a max_delay of 0 every call
// that no turn is asked for yet asks for one: a batch is what has come until a worker is free.
//
// What was cancelled meanwhile, or has expired, waits like the rest and is taken out when the batch
// begins; so nothing waits for longer than max_delay and the executor's queue.
#ifndef SPOOLRPC_SERVER_BATCHER_H_
#define SPOOLRPC_SERVER_BATCHER_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/server/executor.h"
#include "spoolrpc/server/server_call.h"

namespace spoolrpc::server {

struct BatcherOptions {
  BatchSpec spec;  // max_size is at least 1
  // So many calls may wait.
  size_t max_waiting = 0;
  // These outlive the batcher, or its Stop().
  os::Clock* clock = nullptr;
  exec::TimerQueue* timers = nullptr;
  Executor* executor = nullptr;  // its queue length has the calls that wait here too
  // Runs a batch, in the order of the calls' arrival, on a worker.
  std::function<void(std::vector<std::shared_ptr<ServerCall>>)> run;
};

// Thread-safe. Shared with turns and timers that are under way.
class Batcher final : public std::enable_shared_from_this<Batcher> {
 public:
  using Calls = std::vector<std::shared_ptr<ServerCall>>;

  explicit Batcher(BatcherOptions options) : options_(std::move(options)) {}

  // Never waits for a handler. Returns the calls that there was no room for, the last ones.
  Calls Add(Calls calls) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes out what waits; calls that come from here on do not wait for others.
  Calls TakeWaiting() ABSL_LOCKS_EXCLUDED(mu_);
  // Drops what waits, and uses executor and timers no more.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Waiting {
    os::Nanos since;
    std::shared_ptr<ServerCall> call;
  };

  // Asks for as many turns as are due at `now`, and to be woken when the next one is.
  void AskForTurns(os::Nanos now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnTimer() ABSL_LOCKS_EXCLUDED(mu_);
  // On a worker.
  void TakeTurn() ABSL_LOCKS_EXCLUDED(mu_);

  const BatcherOptions options_;
  absl::Mutex mu_;  // taken before the executor's and the timers'
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mu_);
  // Asked for and not yet taken; they are for the first turns_ * max_size of those that wait.
  size_t turns_ ABSL_GUARDED_BY(mu_) = 0;
  exec::TimerQueue::Id timer_ ABSL_GUARDED_BY(mu_) = 0;  // 0: none
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_BATCHER_H_
