#include "cli/doctor/examination.h"

#include <algorithm>
#include <utility>

namespace spoolrpc::cli::doctor {
namespace {

// How long whoever interrupted it waits for tidying up.
constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr char kTidying[] = "tidying_up";

}  // namespace

bool Examination::Begin(absl::string_view name, absl::Duration limit) {
  absl::MutexLock lock(&mu_);
  if (cancelled_ || !ending_.ok()) return false;
  current_ = std::string(name);
  deadline_ = os::After(Now(), limit);
  return true;
}

void Examination::Run(absl::string_view name, absl::FunctionRef<absl::Status(Finding*)> check) {
  if (!Begin(name, limits_.check)) return;
  Finding finding;
  finding.name = std::string(name);
  const absl::Status status = check(&finding);
  absl::MutexLock lock(&mu_);
  current_.clear();
  if (cancelled_) return;
  if (!status.ok()) {
    finding.result = Result::kFail;
    finding.meaning = std::string(status.message());
  }
  findings_.push_back(std::move(finding));
}

void Examination::Step(absl::string_view name, absl::FunctionRef<absl::Status()> step) {
  LongStep(name, absl::ZeroDuration(), step);
}

void Examination::LongStep(absl::string_view name, absl::Duration longer,
                           absl::FunctionRef<absl::Status()> step) {
  if (!Begin(name, limits_.check + longer)) return;
  const absl::Status status = step();
  absl::MutexLock lock(&mu_);
  current_.clear();
  if (ending_.ok()) ending_ = status;
}

void Examination::Tidy(absl::FunctionRef<void()> step) {
  {
    absl::MutexLock lock(&mu_);
    current_ = kTidying;
    const os::Nanos deadline = os::After(Now(), cancelled_ ? kPatience : limits_.check);
    deadline_ = cancelled_ ? std::min(deadline, deadline_) : deadline;
  }
  step();
  absl::MutexLock lock(&mu_);
  current_.clear();
}

void Examination::Add(Finding finding) {
  absl::MutexLock lock(&mu_);
  findings_.push_back(std::move(finding));
}

absl::Status Examination::Pause(absl::Duration duration) {
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(&cancelled_), duration);
  return cancelled_ ? absl::CancelledError("interrupted") : absl::OkStatus();
}

bool Examination::stopped() const {
  absl::MutexLock lock(&mu_);
  return cancelled_ || !ending_.ok();
}

void Examination::Cancel() {
  absl::MutexLock lock(&mu_);
  if (cancelled_) return;
  cancelled_ = true;
  deadline_ = os::After(Now(), kPatience);
  ending_ = absl::CancelledError("interrupted");
}

std::optional<std::string> Examination::Overdue() const {
  absl::MutexLock lock(&mu_);
  if (current_.empty() || Now() < deadline_) return std::nullopt;
  return current_;
}

std::vector<Finding> Examination::findings() const {
  absl::MutexLock lock(&mu_);
  return findings_;
}

absl::Status Examination::ending() const {
  absl::MutexLock lock(&mu_);
  return ending_;
}

}  // namespace spoolrpc::cli::doctor
