// Whether to spin before sleeping, and for how long.
#ifndef SPOOLRPC_WAIT_SPIN_POLICY_H_
#define SPOOLRPC_WAIT_SPIN_POLICY_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "spoolrpc/os/clock.h"

namespace spoolrpc::wait {

// Spinning saves a sleep and a wake-up (some 5 to 40 us on one host) when what is waited for comes
// soon, and burns a CPU when it does not. The policy spins while it pays: a spin that was in vain
// halves the budget, one that was not restores it. With a single CPU it never spins, since the one
// that is waited for could not run. Thread-safe.
class SpinPolicy {
 public:
  // `limit`: the longest spin, in nanoseconds.
  SpinPolicy(int cpus, os::Nanos limit);

  // Spins, from `now` on and not beyond `until`, for as long as it may pay. True: done() is.
  template <typename Done>
  bool Spin(const os::Clock& clock, os::Nanos now, os::Nanos until, Done done);

 private:
  static constexpr int kPausesPerClock = 32;

  // For how long to spin now, in nanoseconds; 0: not at all.
  os::Nanos Budget();
  // How the spin ended.
  void OnSpin(bool worked);

  const os::Nanos limit_;
  std::atomic<os::Nanos> budget_;
  std::atomic<uint32_t> skipped_{0};
};

// Tells the CPU that this is a spin loop.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <typename Done>
bool SpinPolicy::Spin(const os::Clock& clock, os::Nanos now, os::Nanos until, Done done) {
  const os::Nanos budget = Budget();
  if (budget <= 0) return false;
  const os::Nanos end = std::min(now + budget, until);
  do {
    for (int i = 0; i < kPausesPerClock; ++i) {
      if (done()) {
        OnSpin(true);
        return true;
      }
      Pause();
    }
    now = clock.Now();
  } while (now < end);
  OnSpin(false);
  return false;
}

}  // namespace spoolrpc::wait

#endif  // SPOOLRPC_WAIT_SPIN_POLICY_H_
