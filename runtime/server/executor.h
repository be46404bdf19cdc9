// The threads that run handlers.
#ifndef SPOOLRPC_SERVER_EXECUTOR_H_
#define SPOOLRPC_SERVER_EXECUTOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/metrics/gauge.h"
#include "spoolrpc/server/server_call.h"

namespace spoolrpc::server {

// Never runs more than `workers` handlers at once, those that an I/O thread runs itself (inline)
// included; so one worker serializes. Calls start in the order of their submission. Threads start
// when there is work for them. Thread-safe.
//
// A worker runs calls within a link::FlushScope, which spans those that wait for it and take next
// to no time: their replies go out together.
class Executor {
 public:
  // Runs one call, and does not put off what the program sends meanwhile.
  using RunFn = std::function<void(const std::shared_ptr<ServerCall>&)>;

  // `queue_length`, if it is not null, is told how many calls wait; it must outlive the executor.
  Executor(int workers, size_t max_queued, RunFn run, metrics::Gauge* queue_length = nullptr);
  // Stop() must have been called.
  ~Executor();

  // False if max_queued calls wait already.
  bool Submit(std::shared_ptr<ServerCall> call) ABSL_LOCKS_EXCLUDED(mu_);
  // Runs `turn` on a worker, in its order among the calls. It does not count as one that waits, and
  // is not taken out: it is for whoever keeps calls of his own, a batcher. Dropped after Stop().
  void SubmitTurn(std::function<void()> turn) ABSL_LOCKS_EXCLUDED(mu_);

  // So many more calls wait, or fewer: also for whoever keeps calls of his own until their turn.
  void CountWaiting(int64_t by) {
    if (queue_length_ != nullptr) queue_length_->Add(by);
  }

  // Takes a worker's place for handlers that the caller runs itself; false if all are taken or
  // calls wait for one. Ended by EndInline().
  bool BeginInline() ABSL_LOCKS_EXCLUDED(mu_);
  void EndInline() ABSL_LOCKS_EXCLUDED(mu_);

  // Takes out the calls that wait and were not started.
  std::vector<std::shared_ptr<ServerCall>> TakeQueued() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until no handler runs and none waits; false if `deadline` comes first.
  bool WaitIdle(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the threads; waits for the handlers that run, and drops what has not started.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // One of the two.
  struct Task {
    std::shared_ptr<ServerCall> call;
    std::function<void()> turn;
  };

  void Add(Task task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The next one, for a worker.
  Task TakeTask() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Runs it, and those behind it that are short.
  void RunTasks(Task task) ABSL_LOCKS_EXCLUDED(mu_);
  void Work() ABSL_LOCKS_EXCLUDED(mu_);

  const int workers_;
  const size_t max_queued_;
  const RunFn run_;
  metrics::Gauge* const queue_length_;
  absl::Mutex mu_;
  absl::CondVar work_;
  absl::CondVar idle_;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mu_);
  size_t turns_ ABSL_GUARDED_BY(mu_) = 0;  // of the queue
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  int idle_threads_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_EXECUTOR_H_
