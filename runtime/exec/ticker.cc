#include "spoolrpc/exec/ticker.h"

#include <utility>

namespace spoolrpc::exec {
namespace {

constexpr int kIdleTicks = 20;

}  // namespace

Ticker::Ticker(absl::Duration interval, std::function<bool()> tick)
    : interval_(interval), tick_(std::move(tick)) {}

void Ticker::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Ticker::Stop() {
  stopping_.store(true);
  Wake();
  if (thread_.joinable()) thread_.join();
}

void Ticker::Wake() {
  absl::MutexLock lock(&mu_);
  wake_.SignalAll();
}

void Ticker::Run() {
  uint64_t seen = 0;
  int idle = 0;
  for (;;) {
    {
      absl::MutexLock lock(&mu_);
      if (idle >= kIdleTicks) {
        asleep_.store(true, std::memory_order_seq_cst);
        // Of activity that begins now, and a thread that goes to sleep, one sees the other.
        while (!stopping_ && activity_.load(std::memory_order_seq_cst) == seen) wake_.Wait(&mu_);
        asleep_.store(false, std::memory_order_seq_cst);
        idle = 0;
      } else if (!stopping_) {
        wake_.WaitWithTimeout(&mu_, interval_);
      }
    }
    if (stopping_) return;
    const bool busy = tick_();
    const uint64_t activity = activity_.load(std::memory_order_relaxed);
    idle = busy || activity != seen ? 0 : idle + 1;
    seen = activity;
  }
}

}  // namespace spoolrpc::exec
