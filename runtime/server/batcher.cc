#include "spoolrpc/server/batcher.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/time/time.h"

namespace spoolrpc::server {

Batcher::Calls Batcher::Add(Calls calls) {
  const os::Nanos now = options_.clock->Now();
  absl::MutexLock lock(&mu_);
  const size_t room = stopped_ || waiting_.size() >= options_.max_waiting
                          ? 0
                          : options_.max_waiting - waiting_.size();
  const auto refused = calls.begin() + std::min(room, calls.size());
  for (auto it = calls.begin(); it != refused; ++it) waiting_.push_back({now, std::move(*it)});
  options_.executor->CountWaiting(refused - calls.begin());
  AskForTurns(now);
  return Calls(std::make_move_iterator(refused), std::make_move_iterator(calls.end()));
}

void Batcher::AskForTurns(os::Nanos now) {
  const size_t size = options_.spec.max_size;
  while (!stopped_ && waiting_.size() > turns_ * size) {
    const size_t first = turns_ * size;
    if (waiting_.size() - first < size && !draining_) {
      const os::Nanos due =
          os::After(waiting_[first].since, absl::Nanoseconds(options_.spec.max_delay_ns));
      if (now < due) {
        // (One that is set is for an earlier call, and looks again.)
        if (timer_ != 0) return;
        timer_ = options_.timers->At(due, [weak = weak_from_this()] {
          if (const auto self = weak.lock()) self->OnTimer();
        });
        return;
      }
    }
    ++turns_;
    options_.executor->SubmitTurn([self = shared_from_this()] { self->TakeTurn(); });
  }
}

void Batcher::OnTimer() {
  const os::Nanos now = options_.clock->Now();
  absl::MutexLock lock(&mu_);
  timer_ = 0;
  AskForTurns(now);
}

void Batcher::TakeTurn() {
  Calls batch;
  {
    absl::MutexLock lock(&mu_);
    --turns_;
    const size_t count = std::min<size_t>(waiting_.size(), options_.spec.max_size);
    for (size_t i = 0; i < count; ++i) {
      batch.push_back(std::move(waiting_.front().call));
      waiting_.pop_front();
    }
    options_.executor->CountWaiting(-static_cast<int64_t>(count));
  }
  if (!batch.empty()) options_.run(std::move(batch));
}

Batcher::Calls Batcher::TakeWaiting() {
  absl::MutexLock lock(&mu_);
  draining_ = true;
  Calls calls;
  for (Waiting& waiting : waiting_) calls.push_back(std::move(waiting.call));
  waiting_.clear();
  options_.executor->CountWaiting(-static_cast<int64_t>(calls.size()));
  return calls;
}

void Batcher::Stop() {
  std::deque<Waiting> dropped;  // outside of the lock: calls cancel their timers
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  dropped.swap(waiting_);
  options_.executor->CountWaiting(-static_cast<int64_t>(dropped.size()));
  if (timer_ != 0) options_.timers->Cancel(timer_);
}

}  // namespace spoolrpc::server
