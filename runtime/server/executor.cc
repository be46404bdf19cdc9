#include "spoolrpc/server/executor.h"

#include <utility>

#include "spoolrpc/link/flush_scope.h"

namespace spoolrpc::server {
namespace {

// For a handler that takes no longer than this the replies before its own can wait.
constexpr os::Nanos kShort = 5000;

}  // namespace

Executor::Executor(int workers, size_t max_queued, RunFn run, metrics::Gauge* queue_length)
    : workers_(workers),
      max_queued_(max_queued),
      run_(std::move(run)),
      queue_length_(queue_length) {}

Executor::~Executor() { Stop(); }

bool Executor::Submit(std::shared_ptr<ServerCall> call) {
  absl::MutexLock lock(&mu_);
  if (stopping_ || queue_.size() - turns_ >= max_queued_) return false;
  CountWaiting(1);
  Add({std::move(call), nullptr});
  return true;
}

void Executor::SubmitTurn(std::function<void()> turn) {
  absl::MutexLock lock(&mu_);
  if (stopping_) return;
  ++turns_;
  Add({nullptr, std::move(turn)});
}

void Executor::Add(Task task) {
  queue_.push_back(std::move(task));
  if (static_cast<int>(queue_.size()) > idle_threads_ &&
      static_cast<int>(threads_.size()) < workers_) {
    threads_.emplace_back([this] { Work(); });
  } else {
    work_.Signal();
  }
}

bool Executor::BeginInline() {
  absl::MutexLock lock(&mu_);
  if (stopping_ || running_ >= workers_ || !queue_.empty()) return false;
  ++running_;
  return true;
}

void Executor::EndInline() {
  absl::MutexLock lock(&mu_);
  --running_;
  if (!queue_.empty()) work_.Signal();
  if (running_ == 0 && queue_.empty()) idle_.SignalAll();
}

std::vector<std::shared_ptr<ServerCall>> Executor::TakeQueued() {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<ServerCall>> calls;
  std::deque<Task> turns;
  for (Task& task : queue_) {
    if (task.turn == nullptr) {
      calls.push_back(std::move(task.call));
    } else {
      turns.push_back(std::move(task));
    }
  }
  queue_.swap(turns);
  CountWaiting(-static_cast<int64_t>(calls.size()));
  if (running_ == 0 && queue_.empty()) idle_.SignalAll();
  return calls;
}

bool Executor::WaitIdle(absl::Time deadline) {
  absl::MutexLock lock(&mu_);
  while (running_ > 0 || !queue_.empty()) {
    if (idle_.WaitWithDeadline(&mu_, deadline)) return running_ == 0 && queue_.empty();
  }
  return true;
}

void Executor::Stop() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    work_.SignalAll();
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) {
    if (thread.joinable()) thread.join();
  }
  std::deque<Task> dropped;  // outside of the lock: calls cancel their timers
  absl::MutexLock lock(&mu_);
  dropped.swap(queue_);
  CountWaiting(-static_cast<int64_t>(dropped.size() - turns_));
  turns_ = 0;
}

Executor::Task Executor::TakeTask() {
  Task task = std::move(queue_.front());
  queue_.pop_front();
  if (task.turn != nullptr) {
    --turns_;
  } else {
    CountWaiting(-1);
  }
  return task;
}

void Executor::RunTasks(Task task) {
  const link::FlushScope flush_together;
  for (;;) {
    if (task.turn != nullptr) {
      const link::FlushScope::Aside handlers_run;
      task.turn();
    } else {
      run_(task.call);
    }
    task = {};
    link::FlushScope::FlushIfDue();
    absl::MutexLock lock(&mu_);
    if (stopping_ || queue_.empty() || queue_.front().call == nullptr) return;
    const os::Nanos usual = queue_.front().call->method()->usual_time();
    if (usual < 0 || usual > kShort) return;
    task = TakeTask();
  }
}

void Executor::Work() {
  absl::MutexLock lock(&mu_);
  for (;;) {
    ++idle_threads_;
    while (!stopping_ && (queue_.empty() || running_ >= workers_)) work_.Wait(&mu_);
    --idle_threads_;
    if (stopping_) return;
    Task task = TakeTask();
    ++running_;
    mu_.Unlock();
    RunTasks(std::move(task));
    mu_.Lock();
    --running_;
    if (!queue_.empty()) work_.Signal();
    if (running_ == 0 && queue_.empty()) idle_.SignalAll();
  }
}

}  // namespace spoolrpc::server
