// When to look at a file again that nobody rings for.
#ifndef SPOOLRPC_WAIT_POLL_SCHEDULE_H_
#define SPOOLRPC_WAIT_POLL_SCHEDULE_H_

#include "absl/time/time.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::wait {

// Bounds of the time from the beginning of one look at a quiet file to that of the next.
struct PollInterval {
  absl::Duration min = absl::Microseconds(200);
  absl::Duration max = absl::Milliseconds(50);
};

// The longer the silence, the rarer the looks: one every sixteenth of the silence so far, within
// the bounds. So polling adds at most a sixteenth to any wait (or `min`), and an idle file costs
// one look each `max`. Where a look is a round trip to a file server that takes longer than the
// time between two, the next one follows without a pause. Pure arithmetic over the caller's times;
// not thread-safe.
class PollSchedule {
 public:
  explicit PollSchedule(const PollInterval& interval, os::Nanos now);

  // Something came, or is expected soon.
  void OnActivity(os::Nanos now) { last_activity_ = now; }
  // When to look next, if the last look began at `began`.
  os::Nanos Next(os::Nanos began) const;

 private:
  os::Nanos min_;
  os::Nanos max_;
  os::Nanos last_activity_;
};

}  // namespace spoolrpc::wait

#endif  // SPOOLRPC_WAIT_POLL_SCHEDULE_H_
