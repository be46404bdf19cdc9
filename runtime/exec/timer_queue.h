// What is to happen at a time: deadlines, the delays of retries and hedges, the end of a wait for a
// batch.
#ifndef SPOOLRPC_EXEC_TIMER_QUEUE_H_
#define SPOOLRPC_EXEC_TIMER_QUEUE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::exec {

// Runs functions at or after given times, one after the other, on a thread of its own, which is
// started with the first of them. Those of one time run in the order in which they were given.
// Thread-safe; a function may call any of this, the destructor excepted.
class TimerQueue {
 public:
  // Never 0, never used twice by one queue.
  using Id = uint64_t;

  // `clock` must outlive it.
  explicit TimerQueue(os::Clock* clock);
  // What has not begun is dropped; waits for the function that runs.
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // Runs `fn` once the clock shows `when` or more (soon, if it does already; never, if that is
  // os::kNever). Nothing is locked while it runs, but every other timer waits for it: it must be
  // short, must not block and must not throw. A timer may be late by what the thread takes to wake.
  Id At(os::Nanos when, std::function<void()> fn) ABSL_LOCKS_EXCLUDED(mu_);

  // True: the function has not run and will not, and is destroyed here. False: it ran, it is
  // running, or there is no such timer. Never waits for a function.
  bool Cancel(Id id) ABSL_LOCKS_EXCLUDED(mu_);

  // Has the thread look at the clock at once. Only needed by whoever moves a clock by hand: the
  // thread looks once a second in any case, since a clock may also jump when a host is suspended.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);

  // The process's queue on the real clock. Never destroyed.
  static TimerQueue* Shared();

 private:
  // Time, then order of At().
  using Key = std::pair<os::Nanos, Id>;

  void Work() ABSL_LOCKS_EXCLUDED(mu_);

  os::Clock* const clock_;
  absl::Mutex mu_;
  absl::CondVar changed_;
  std::map<Key, std::function<void()>> timers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<Id, os::Nanos> times_ ABSL_GUARDED_BY(mu_);  // of all in timers_
  Id next_id_ ABSL_GUARDED_BY(mu_) = 1;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::exec

#endif  // SPOOLRPC_EXEC_TIMER_QUEUE_H_
