#include "spoolrpc/exec/thread_pool.h"

#include <algorithm>
#include <utility>

namespace spoolrpc::exec {

ThreadPool::ThreadPool(int threads) : max_threads_(std::max(1, threads)) {}

ThreadPool::~ThreadPool() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    threads.swap(threads_);
    work_.SignalAll();
  }
  for (std::thread& thread : threads) thread.join();
}

void ThreadPool::Run(std::function<void()> task) {
  absl::MutexLock lock(&mu_);
  queue_.push_back(std::move(task));
  // Each task that waits has woken one idle thread already, which may not have come to it yet. Once
  // stopping, the thread that runs the caller comes back for the task.
  if (!stopping_ && queue_.size() > static_cast<size_t>(idle_) &&
      threads_.size() < static_cast<size_t>(max_threads_)) {
    threads_.emplace_back([this] { Work(); });
  } else {
    work_.Signal();
  }
}

void ThreadPool::Work() {
  absl::MutexLock lock(&mu_);
  for (;;) {
    ++idle_;
    while (!stopping_ && queue_.empty()) work_.Wait(&mu_);
    --idle_;
    if (queue_.empty()) return;
    std::function<void()> task = std::move(queue_.front());
    queue_.pop_front();
    mu_.Unlock();
    task();
    // What it holds may take this lock when it is destroyed.
    task = nullptr;
    mu_.Lock();
  }
}

ThreadPool* ThreadPool::Shared() {
  static ThreadPool* const pool =
      new ThreadPool(std::max(2, static_cast<int>(std::thread::hardware_concurrency())));
  return pool;
}

}  // namespace spoolrpc::exec
