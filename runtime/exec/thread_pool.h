// Threads for what must not run on the thread that found it: a user's callbacks, which may take
// their time, must not hold up the thread that reads the logs.
#ifndef SPOOLRPC_EXEC_THREAD_POOL_H_
#define SPOOLRPC_EXEC_THREAD_POOL_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace spoolrpc::exec {

// A queue of tasks without a bound, and up to a fixed number of threads that take from it. Tasks
// start in the order in which they were given; with one thread they also run one after the other.
// A thread is started when a task comes and no other thread is free. Thread-safe.
class ThreadPool {
 public:
  // Starts nothing yet. `threads` is at least 1.
  explicit ThreadPool(int threads);
  // Runs what is queued, and what that queues in turn, then ends the threads. Must not be called by
  // a task of this pool; nobody but such tasks may call Run() any more.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Queues `task`; never waits for a task. A task may block, and then has its thread for itself; it
  // must not throw. It is destroyed on the thread that ran it, before that takes another.
  void Run(std::function<void()> task) ABSL_LOCKS_EXCLUDED(mu_);

  // The process's pool for callbacks that must not block: as many threads as the process may use
  // processors, at least 2. Never destroyed.
  static ThreadPool* Shared();

 private:
  void Work() ABSL_LOCKS_EXCLUDED(mu_);

  const int max_threads_;
  absl::Mutex mu_;
  absl::CondVar work_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
  int idle_ ABSL_GUARDED_BY(mu_) = 0;  // threads that wait for a task, or are just being woken
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::exec

#endif  // SPOOLRPC_EXEC_THREAD_POOL_H_
