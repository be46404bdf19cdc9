#include "spoolrpc/server/failure_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::server {

void FailureLog::Add(const absl::Status& failure) {
  absl::MutexLock lock(&mu_);
  if (first_.ok()) {
    first_ = failure;
  } else {
    ++others_;
  }
}

absl::Status FailureLog::Take() {
  absl::MutexLock lock(&mu_);
  absl::Status first = std::exchange(first_, absl::OkStatus());
  const uint64_t others = std::exchange(others_, 0);
  if (others == 0) return first;
  return os::Annotate(first, absl::StrCat("first of ", others + 1, " failures"));
}

}  // namespace spoolrpc::server
