#include "spoolrpc/wait/spin_policy.h"

namespace spoolrpc::wait {
namespace {
// Below this a spin cannot see anything happen on another CPU.
constexpr os::Nanos kShortest = 2000;
// One wait in so many spins all the same, to find out whether it pays again.
constexpr uint32_t kProbeEvery = 16;
}  // namespace

SpinPolicy::SpinPolicy(int cpus, os::Nanos limit) : limit_(cpus > 1 ? limit : 0), budget_(limit_) {}

os::Nanos SpinPolicy::Budget() {
  if (limit_ == 0) return 0;
  const os::Nanos budget = budget_.load(std::memory_order_relaxed);
  if (budget >= kShortest) return budget;
  if (skipped_.fetch_add(1, std::memory_order_relaxed) % kProbeEvery == kProbeEvery - 1) {
    return limit_;
  }
  return 0;
}

void SpinPolicy::OnSpin(bool worked) {
  if (worked) {
    budget_.store(limit_, std::memory_order_relaxed);
  } else {
    const os::Nanos budget = budget_.load(std::memory_order_relaxed);
    budget_.store(budget / 2, std::memory_order_relaxed);
  }
}

}  // namespace spoolrpc::wait
