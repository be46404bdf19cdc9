#include "spoolrpc/wait/poll_schedule.h"

#include <algorithm>

namespace spoolrpc::wait {
namespace {
constexpr os::Nanos kFractionOfSilence = 16;
}  // namespace

PollSchedule::PollSchedule(const PollInterval& interval, os::Nanos now)
    : min_(std::max<os::Nanos>(0, absl::ToInt64Nanoseconds(interval.min))),
      max_(std::max(min_, absl::ToInt64Nanoseconds(interval.max))),
      last_activity_(now) {}

os::Nanos PollSchedule::Next(os::Nanos began) const {
  return began + std::clamp((began - last_activity_) / kFractionOfSilence, min_, max_);
}

}  // namespace spoolrpc::wait
