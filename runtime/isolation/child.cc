#include "spoolrpc/isolation/child.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "spoolrpc/isolation/nursery.h"

namespace spoolrpc::isolation {

Child::Child(Nursery* nursery, pid_t pid, int calls, int reads, int end)
    : nursery_(nursery), pid_(pid), calls_(calls), reads_(reads), end_(end) {}

Child::~Child() { close(end_); }

std::optional<int> Child::AwaitEnd(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!wait_status_.has_value()) {
    pollfd fd = {end_, POLLIN, 0};
    const auto left = std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now()));
    const int ready = poll(&fd, 1, static_cast<int>(left));
    if (ready == 0) return std::nullopt;
    if (ready < 0) continue;  // interrupted
    int status = 0;
    const ssize_t got = read(end_, &status, sizeof(status));
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof(status)) return std::nullopt;  // the nursery has ended
    wait_status_ = status;
  }
  return wait_status_;
}

void Child::Kill() { nursery_->Kill(pid_); }

}  // namespace spoolrpc::isolation
