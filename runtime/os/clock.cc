#include "spoolrpc/os/clock.h"

#include <time.h>

#include "absl/time/clock.h"

namespace spoolrpc::os {
namespace {

class RealClock final : public Clock {
 public:
  Nanos Now() const override {
    timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
  }
  absl::Time WallTime() const override { return absl::Now(); }
};

}  // namespace

Clock* Clock::Real() {
  static RealClock* const clock = new RealClock;
  return clock;
}

Nanos After(Nanos now, absl::Duration duration) {
  const int64_t nanos = absl::ToInt64Nanoseconds(duration);
  if (nanos >= kNever - now) return kNever;
  return now + nanos;
}

}  // namespace spoolrpc::os
