#include "spoolrpc/exec/deadline_set.h"

#include <algorithm>

namespace spoolrpc::exec {
namespace {

constexpr os::Nanos kBetweenLooks = 1'000'000;

}  // namespace

DeadlineSet::DeadlineSet(const os::Clock* clock, TimerQueue* timers)
    : clock_(clock), timers_(timers) {
  ring_.before_ = ring_.after_ = &ring_;
}

DeadlineSet::~DeadlineSet() {
  for (;;) {
    TimerQueue::Id timer = 0;
    {
      absl::MutexLock lock(&mu_);
      timer = timer_;
    }
    // (A look that is under way sets the next timer, or none, before it is over.)
    if (timer == 0) return;
    if (timers_->Cancel(timer)) return;
  }
}

void DeadlineSet::Add(Entry* entry, os::Nanos when) {
  absl::MutexLock lock(&mu_);
  entry->when_ = when;
  entry->before_ = ring_.before_;
  entry->after_ = &ring_;
  ring_.before_->after_ = entry;
  ring_.before_ = entry;
  // (A look that cannot be cancelled any more sees this entry.)
  if (timer_ == 0 || (when < timer_at_ && timers_->Cancel(timer_))) SetTimer(when);
}

void DeadlineSet::Remove(Entry* entry) {
  absl::MutexLock lock(&mu_);
  if (entry->before_ != nullptr) Unlink(entry);
}

void DeadlineSet::Unlink(Entry* entry) {
  entry->before_->after_ = entry->after_;
  entry->after_->before_ = entry->before_;
  entry->before_ = entry->after_ = nullptr;
}

void DeadlineSet::SetTimer(os::Nanos when) {
  timer_at_ = when;
  timer_ = when == os::kNever ? 0 : timers_->At(when, [this] { Look(); });
}

void DeadlineSet::Look() {
  absl::MutexLock lock(&mu_);
  const os::Nanos now = clock_->Now();
  os::Nanos earliest = os::kNever;
  for (Entry* entry = ring_.after_; entry != &ring_;) {
    Entry* const next = entry->after_;
    if (entry->when_ <= now) {
      Unlink(entry);
      entry->OnDue();
    } else {
      earliest = std::min(earliest, entry->when_);
    }
    entry = next;
  }
  SetTimer(std::max(earliest, now + kBetweenLooks));
}

}  // namespace spoolrpc::exec
