#include "tests/soak/open_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::soak {
namespace {

os::Nanos Now() { return os::Clock::Real()->Now(); }

// Whole lines, whatever other threads print.
void Print(int fd, const std::string& line) {
  const std::string whole = absl::StrCat(line, "\n");
  if (write(fd, whole.data(), whole.size()) < 0) abort();
}

std::string Milliseconds(os::Nanos time) { return absl::StrCat(time / 1000000, " ms"); }

// The server that lost the call, from a context's peer: "spool:/path#SERVER HOST:PID".
std::string ProcessOf(const std::string& peer) { return peer.substr(peer.rfind(':') + 1); }

}  // namespace

OpenCalls::OpenCalls(absl::Duration slack, Ledger* ledger)
    : slack_(slack), ledger_(ledger), watcher_([this] { Watch(); }) {}

OpenCalls::~OpenCalls() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  watcher_.join();
}

void OpenCalls::Begin(const Plan& plan) {
  const os::Nanos now = Now();
  absl::MutexLock lock(&mu_);
  open_[plan.call] = {plan, now, os::After(now, BoundOf(plan)), false};
}

void OpenCalls::End(const Plan& plan, Ending ending, const std::string& peer) {
  const os::Nanos now = Now();
  bool lost = false;
  {
    absl::MutexLock lock(&mu_);
    const auto it = open_.find(plan.call);
    if (it == open_.end()) {
      failed_ = true;
      Print(STDERR_FILENO, absl::StrCat("soak: ended twice: ", Describe(plan)));
      return;
    }
    const os::Nanos late = now - it->second.bound;
    ending.took = absl::Nanoseconds(now - it->second.began);
    if (late > latest_) {
      latest_ = late;
      latest_text_ =
          absl::StrCat(ending.dropped ? "dropped" : ending.status.ToString(), ": ", Describe(plan));
    }
    if (it->second.reported) {
      Print(STDERR_FILENO, absl::StrCat("soak: it ended at last, ", Milliseconds(late),
                                        " late: ", Describe(plan)));
    }
    open_.erase(it);
    ++ending_;
    ++counts_[ending.dropped ? "dropped" : Kind(ending.status)];
    const auto info = GetErrorInfo(ending.status);
    lost = !ending.dropped && info.has_value() && info->reason() == ErrorInfo::SERVER_LOST;
  }
  if (const std::string broken = BrokenRule(plan, ending); !broken.empty()) {
    Report(absl::StrCat(broken, ": ", ending.dropped ? "dropped" : ending.status.ToString(),
                        " after ", absl::FormatDuration(ending.took), ", ", ending.answers,
                        " answers; ", Describe(plan), "; peer ", peer));
  }
  if (!ending.dropped && SaysCertainlyNotExecuted(ending.status)) {
    ledger_->OnCertainlyNotExecuted(plan.call);
  }
  if (lost) {
    Print(STDOUT_FILENO, absl::StrCat("lost ", ProcessOf(peer), " ", ending.status.message(), "; ",
                                      Describe(plan)));
  }
  absl::MutexLock lock(&mu_);
  --ending_;
}

void OpenCalls::AwaitFewerThan(size_t most) {
  absl::MutexLock lock(&mu_);
  const auto fewer = [this, most]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return open_.size() + ending_ < most;
  };
  mu_.Await(absl::Condition(&fewer));
}

void OpenCalls::Report(const std::string& wrong) {
  Print(STDERR_FILENO, absl::StrCat("soak: ", wrong));
  absl::MutexLock lock(&mu_);
  failed_ = true;
}

bool OpenCalls::failed() const {
  absl::MutexLock lock(&mu_);
  return failed_;
}

std::string OpenCalls::Latest() const {
  absl::MutexLock lock(&mu_);
  return absl::StrCat(latest_ / 1000000, " ", latest_text_);
}

std::string OpenCalls::Counts() const {
  absl::MutexLock lock(&mu_);
  std::string text;
  for (const auto& [kind, count] : counts_) absl::StrAppend(&text, kind, "=", count, " ");
  return text;
}

void OpenCalls::Watch() {
  absl::MutexLock lock(&mu_);
  while (!mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::Milliseconds(200))) LookAtAll();
}

void OpenCalls::LookAtAll() {
  const os::Nanos now = Now();
  bool hangs = false;
  for (auto& [call, open] : open_) {
    if (now < os::After(open.bound, slack_)) continue;
    hangs = hangs || now >= os::After(open.bound, slack_ + kPatience);
    if (open.reported) continue;
    open.reported = true;
    failed_ = true;
    Print(STDERR_FILENO, absl::StrCat("soak: it should have ended ", Milliseconds(now - open.bound),
                                      " ago: ", Describe(open.plan)));
  }
  if (!hangs) return;
  Print(STDERR_FILENO, "soak: it hangs");
  abort();
}

}  // namespace spoolrpc::soak
