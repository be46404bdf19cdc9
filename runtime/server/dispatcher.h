// Who runs which call, and where.
//
// Threads: the *loop* sleeps on the server's doorbell, reads the sessions that rang, and runs
// handlers that are known to be short itself: no other thread is woken on the way of such a call.
// The *monitor* ticks once a millisecond while anything runs: a handler that turns out to be long
// costs the loop its place (a second loop thread takes over, and calls that wait go to the
// executor), and calls that were not answered within two milliseconds are acknowledged. All other
// calls are run by the *executor*. Handlers that block on streams have threads of their own, unless
// there is one worker, which serializes everything; methods with a `concurrency` have workers of
// their own; inline methods run where their calls were read. Calls of methods with batches are
// gathered by the method's *batcher*, which has the executor run them together. What reactors are
// told runs on the *reactions*.
#ifndef SPOOLRPC_SERVER_DISPATCHER_H_
#define SPOOLRPC_SERVER_DISPATCHER_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/exec/stall_check.h"
#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/exec/ticker.h"
#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/server/after_reply.h"
#include "spoolrpc/server/batcher.h"
#include "spoolrpc/server/executor.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/server/server_call.h"
#include "spoolrpc/wait/doorbell.h"
#include "spoolrpc/wait/spin_policy.h"

namespace spoolrpc::server {

struct DispatcherOptions {
  os::Environment env;
  const MethodTable* methods = nullptr;
  int workers = 2;
  size_t max_queued = 10000;
  // How many handlers may block on streams at once, beside the workers.
  int max_streams = 1000;
  os::Nanos spin = 0;
  // Has the lengths of the queues; null: nobody wants to know. Must outlive the dispatcher.
  metrics::Registry* metrics = nullptr;
  // For batches that wait to become full. Must outlive the dispatcher.
  exec::TimerQueue* timers = nullptr;
  // The doorbell to sleep on; null: there is no loop, all calls come from other threads.
  wait::Doorbell* bell = nullptr;
  // Takes what came on the session in `slot`; may call Dispatch() with inline_allowed. Returns the
  // number of frames.
  std::function<int(uint32_t slot, log::AlignedBuffer* buffer)> on_rung;
  // The loop looks at the doorbell at least so often, also where nobody rings.
  os::Nanos longest_sleep = 1000000000;
  // The doorbell's inbox count has changed.
  std::function<void()> on_inbox;
  // Work after a reply has thrown.
  std::function<void(const absl::Status&)> on_failure;
};

// Thread-safe.
class Dispatcher {
 public:
  explicit Dispatcher(DispatcherOptions options);
  // Stop() must have been called.
  ~Dispatcher();

  void Start();

  // Calls that were admitted, in order. `inline_allowed`: this is the loop's thread, and its poll
  // ends before the handlers are run.
  void Dispatch(std::vector<std::shared_ptr<ServerCall>> calls, bool inline_allowed)
      ABSL_LOCKS_EXCLUDED(mu_);

  // What waits and was not started.
  std::vector<std::shared_ptr<ServerCall>> TakeQueued();
  // Waits until no handler runs, and no reactor has a call; false if `deadline` comes first.
  bool WaitIdle(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_);
  AfterReply* after_reply() { return after_reply_.get(); }
  // Runs what a reactor is told.
  void RunReaction(std::function<void()> reaction) { reactions_.Run(std::move(reaction)); }
  // Ends all threads; waits for the handlers that run.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // All that the doorbell was rung for before this time has been read; 0: nothing is known. The
  // loop brings it forward at least every longest_sleep.
  os::Nanos bell_looked_at() const { return bell_looked_at_.load(std::memory_order_acquire); }

  uint64_t calls_served() const { return served_.load(std::memory_order_relaxed); }

 private:
  void Loop() ABSL_LOCKS_EXCLUDED(mu_);
  void LoopOnce(uint64_t term, log::AlignedBuffer* buffer, std::vector<uint32_t>* rung)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool Leads(uint64_t term) const { return leader_.load(std::memory_order_acquire) == term; }
  // Runs what LoopOnce() has read.
  void RunReady(uint64_t term) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the loop runs this one of so many that wait itself. Sets `*works` if it counts as one
  // of the executor's workers from here on; where it does already it stays so.
  bool RunsOnLoop(const ServerCall& call, size_t waiting, bool* works);
  void Doze(uint32_t seen);
  // One tick. True: there is still something to watch over.
  bool Monitor() ABSL_LOCKS_EXCLUDED(mu_);
  void Tick(os::Nanos now) ABSL_LOCKS_EXCLUDED(mu_);
  // The call is acknowledged in a moment, unless that or more has happened by then.
  void AcknowledgeSoon(const std::shared_ptr<ServerCall>& call) ABSL_LOCKS_EXCLUDED(mu_);
  void Submit(std::shared_ptr<ServerCall> call) ABSL_LOCKS_EXCLUDED(mu_);
  std::unique_ptr<Executor> NewExecutor(int workers, absl::string_view queue);
  Executor* ExecutorFor(const MethodEntry* method);
  // Null: the method has no batches.
  Batcher* BatcherFor(const MethodEntry* method) const;
  // Submit() for calls of one method with batches.
  void Gather(Batcher* batcher, std::vector<std::shared_ptr<ServerCall>> calls)
      ABSL_LOCKS_EXCLUDED(mu_);
  void RunBatch(std::vector<std::shared_ptr<ServerCall>> calls);
  // All executors, once.
  std::vector<Executor*> Executors();
  void RunAndFlush(const std::shared_ptr<ServerCall>& call) ABSL_LOCKS_EXCLUDED(mu_);
  // A reply that nothing waits for may go out with the next one. True: it has gone out.
  bool FlushReply(const std::shared_ptr<ServerCall>& call);
  // Runs the call at `*now`, up to but without the flush of its reply, and says when its handler
  // had returned. False: nothing is to be flushed.
  bool RunCall(const std::shared_ptr<ServerCall>& call, os::Nanos* now);

  const DispatcherOptions options_;
  const os::Environment env_;
  wait::SpinPolicy spin_;
  const std::unique_ptr<Executor> executor_;
  // Handlers that block on a stream: each has a thread of its own as long as it runs.
  const std::unique_ptr<Executor> streams_;
  // Of methods that have workers of their own.
  absl::flat_hash_map<const MethodEntry*, std::unique_ptr<Executor>> pools_;
  // Of methods with batches.
  absl::flat_hash_map<const MethodEntry*, std::shared_ptr<Batcher>> batchers_;
  exec::ThreadPool reactions_;
  std::unique_ptr<AfterReply> after_reply_;
  std::atomic<uint64_t> served_{0};
  std::atomic<bool> stopping_{false};

  // The loop thread whose term this is leads; others stand by.
  std::atomic<uint64_t> leader_{0};
  std::atomic<os::Nanos> inline_since_{0};  // 0: the loop runs no handler
  std::atomic<os::Nanos> bell_looked_at_{0};
  uint64_t inbox_seen_ = 0;  // of the leader
  int looks_ = 0;            // of the leader

  absl::Mutex mu_;
  absl::CondVar standby_;
  absl::CondVar reactors_done_;
  int reactors_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_term_ ABSL_GUARDED_BY(mu_) = 0;
  bool vacant_ ABSL_GUARDED_BY(mu_) = true;
  int idle_loops_ ABSL_GUARDED_BY(mu_) = 0;
  // Read by the loop, and not yet run. Anybody may take them over.
  std::deque<std::shared_ptr<ServerCall>> ready_ ABSL_GUARDED_BY(mu_);
  // The call that a loop thread runs, and in which term. One that was deposed meanwhile may be at
  // an earlier one, of which nothing is said here any more once the next leader runs a call.
  std::shared_ptr<ServerCall> inline_call_ ABSL_GUARDED_BY(mu_);
  uint64_t inline_term_ ABSL_GUARDED_BY(mu_) = 0;
  // Of the thread that leads, or led last; null: it has ended.
  exec::StallCheck* stall_check_ ABSL_GUARDED_BY(mu_) = nullptr;
  // Calls that may not have been acknowledged, the oldest first.
  std::deque<std::pair<os::Nanos, std::weak_ptr<ServerCall>>> unacknowledged_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> loops_ ABSL_GUARDED_BY(mu_);

  exec::Ticker monitor_;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_DISPATCHER_H_
