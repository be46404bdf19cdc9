// Time, so that tests can stop it.
#ifndef SPOOLRPC_OS_CLOCK_H_
#define SPOOLRPC_OS_CLOCK_H_

#include <cstdint>
#include <limits>

#include "absl/time/time.h"

namespace spoolrpc::os {

// Nanoseconds on this host's clock since boot, suspension included; means nothing elsewhere.
using Nanos = int64_t;

constexpr Nanos kNever = std::numeric_limits<Nanos>::max();

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Nanos Now() const = 0;
  // Seconds since the epoch, for people to read. Never compared.
  virtual absl::Time WallTime() const = 0;

  // The kernel's; lives for ever.
  static Clock* Real();
};

// `now` + `duration`, kNever if that lies beyond.
Nanos After(Nanos now, absl::Duration duration);

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_CLOCK_H_
