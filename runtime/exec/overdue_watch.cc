#include "spoolrpc/exec/overdue_watch.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace spoolrpc::exec {
namespace {

constexpr os::Nanos kPatience = 1'000'000;

}  // namespace

OverdueWatch::Work::Work(OverdueWatch* watch, Overdue overdue, std::function<void()> on_overdue)
    : watch_(watch), overdue_(overdue), on_overdue_(std::move(on_overdue)) {
  absl::MutexLock lock(&watch_->mu_);
  watch_->works_.push_back(this);
  if (!watch_->started_) watch_->ticker_.Start();
  watch_->started_ = true;
}

OverdueWatch::Work::~Work() {
  absl::MutexLock lock(&watch_->mu_);
  auto& works = watch_->works_;
  works.erase(std::find(works.begin(), works.end(), this));
}

OverdueWatch::OverdueWatch() : ticker_(absl::Nanoseconds(kPatience), [this] { return Look(); }) {}

OverdueWatch* OverdueWatch::Shared() {
  static OverdueWatch* const watch = new OverdueWatch;
  return watch;
}

void OverdueWatch::Begin(Work* work) {
  work->since_.store(os::Clock::Real()->Now(), std::memory_order_release);
  ticker_.OnActivity();
}

bool OverdueWatch::Look() {
  bool busy = false;
  absl::MutexLock lock(&mu_);
  const os::Nanos now = os::Clock::Real()->Now();
  for (Work* const work : works_) {
    const os::Nanos since = work->since_.load(std::memory_order_acquire);
    if (since == 0) continue;
    busy = true;
    if (now - since < kPatience || since == work->told_) continue;
    if (work->overdue_ == Overdue::kStuck && !work->stall_check_.Stuck(since)) continue;
    work->told_ = since;
    work->on_overdue_();
  }
  return busy;
}

}  // namespace spoolrpc::exec
