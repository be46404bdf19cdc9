#include "spoolrpc/exec/overdue_watch.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace spoolrpc::exec {
namespace {

constexpr os::Nanos kPatience = 1'000'000;
// The thread sleeps after so many looks that found nothing.
constexpr int kIdleLooks = 20;

}  // namespace

OverdueWatch::Work::Work(OverdueWatch* watch, std::function<void()> on_overdue)
    : watch_(watch), on_overdue_(std::move(on_overdue)) {
  absl::MutexLock lock(&watch_->mu_);
  watch_->works_.push_back(this);
  if (!watch_->thread_.joinable()) watch_->thread_ = std::thread([watch] { watch->Run(); });
}

OverdueWatch::Work::~Work() {
  absl::MutexLock lock(&watch_->mu_);
  auto& works = watch_->works_;
  works.erase(std::find(works.begin(), works.end(), this));
}

OverdueWatch::~OverdueWatch() {
  stopping_.store(true);
  {
    absl::MutexLock lock(&wake_mu_);
    wake_.SignalAll();
  }
  std::thread thread;
  {
    absl::MutexLock lock(&mu_);
    thread.swap(thread_);
  }
  if (thread.joinable()) thread.join();
}

OverdueWatch* OverdueWatch::Shared() {
  static OverdueWatch* const watch = new OverdueWatch;
  return watch;
}

void OverdueWatch::Begin(Work* work) {
  work->since_.store(os::Clock::Real()->Now(), std::memory_order_release);
  begun_.fetch_add(1, std::memory_order_seq_cst);
  if (!asleep_.load(std::memory_order_seq_cst)) return;
  absl::MutexLock lock(&wake_mu_);
  wake_.SignalAll();
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
    work->told_ = since;
    work->on_overdue_();
  }
  const uint64_t begun = begun_.load(std::memory_order_relaxed);
  busy = busy || begun != begun_seen_;
  begun_seen_ = begun;
  return busy;
}

void OverdueWatch::Run() {
  int idle = 0;
  while (!stopping_) {
    {
      absl::MutexLock lock(&wake_mu_);
      if (idle >= kIdleLooks) {
        asleep_.store(true, std::memory_order_seq_cst);
        // Of one who begins now, and one who goes to sleep, one sees the other.
        while (!stopping_ && begun_.load(std::memory_order_seq_cst) == begun_seen_) {
          wake_.Wait(&wake_mu_);
        }
        asleep_.store(false, std::memory_order_seq_cst);
        idle = 0;
      } else {
        wake_.WaitWithTimeout(&wake_mu_, absl::Nanoseconds(kPatience));
      }
    }
    idle = Look() ? 0 : idle + 1;
  }
}

}  // namespace spoolrpc::exec
