#include "spoolrpc/client/call_limit.h"

#include <algorithm>

namespace spoolrpc::client {

bool CallLimit::TryAcquire() {
  int now = in_flight_.load(std::memory_order_relaxed);
  while (now < most_) {
    if (in_flight_.compare_exchange_weak(now, now + 1, std::memory_order_seq_cst)) return true;
  }
  return false;
}

bool CallLimit::Acquire(const os::Clock& clock, os::Nanos deadline,
                        const std::function<bool()>& cancelled) {
  if (TryAcquire()) return true;
  absl::MutexLock lock(&mu_);
  waiting_.fetch_add(1, std::memory_order_seq_cst);
  bool acquired = false;
  for (;;) {
    acquired = TryAcquire();
    const os::Nanos now = clock.Now();
    if (acquired || now >= deadline || cancelled()) break;
    changed_.WaitWithTimeout(&mu_, absl::Nanoseconds(deadline - now));
  }
  waiting_.fetch_sub(1, std::memory_order_seq_cst);
  return acquired;
}

void CallLimit::Release() {
  in_flight_.fetch_sub(1, std::memory_order_seq_cst);
  if (waiting_.load(std::memory_order_seq_cst) == 0) return;
  absl::MutexLock lock(&mu_);
  changed_.SignalAll();
}

void CallLimit::WakeAll() {
  absl::MutexLock lock(&mu_);
  changed_.SignalAll();
}

}  // namespace spoolrpc::client
