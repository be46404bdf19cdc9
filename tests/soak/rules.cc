#include "tests/soak/rules.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::soak {
namespace {

// What the handler, or the server that runs it, may say.
std::string BrokenByServer(const Plan& plan, const Ending& ending) {
  const absl::Status& status = ending.status;
  const bool late = ending.took >= plan.timeout;
  if (status.ok()) {
    if (plan.code != absl::StatusCode::kOk) return "OK of a handler that was told to fail";
    if (ending.answers > plan.answers() ||
        (ending.read_to_end && ending.answers < plan.answers())) {
      return absl::StrCat("OK with ", ending.answers, " answers instead of ", plan.answers());
    }
    return "";
  }
  if (status.message() == ToldToFail(plan.call)) {
    return status.code() == plan.code ? "" : "failed otherwise than it was told to";
  }
  // These the client learns too if it looks at the time late.
  if (late && (status == NobodyWaits() || absl::IsDeadlineExceeded(status))) return "";
  return "a status that no rule allows";
}

// What the client's runtime may say.
std::string BrokenByRuntime(const Plan& plan, const Ending& ending, const ErrorInfo& info) {
  const absl::StatusCode code = ending.status.code();
  const auto expect = [code](absl::StatusCode expected) -> std::string {
    return code == expected ? "" : "a code that does not go with its reason";
  };
  switch (info.reason()) {
    case ErrorInfo::NO_SERVER:
      // Who does not want to wait for a server is told at once.
      if (ending.took < plan.ack_timeout && plan.wait_for_ready.value_or(true)) {
        return "gave up before the ack timeout";
      }
      if (info.may_have_executed() && !plan.idempotent())
        return "there was no server to execute it";
      return expect(absl::StatusCode::kUnavailable);
    case ErrorInfo::ACK_TIMEOUT:
      if (ending.took < plan.ack_timeout) return "gave up before the ack timeout";
      return expect(absl::StatusCode::kUnavailable);
    case ErrorInfo::SERVER_LOST:
      if (!info.may_have_executed()) return "who lost the server cannot know";
      return expect(absl::StatusCode::kUnavailable);
    case ErrorInfo::NOT_STARTED:
      if (info.may_have_executed() && !plan.idempotent()) return "what was not started did not run";
      if (code == absl::StatusCode::kResourceExhausted) return "";
      return expect(absl::StatusCode::kUnavailable);
    case ErrorInfo::DEADLINE:
      if (ending.took < plan.timeout) return "gave up before the deadline";
      return expect(absl::StatusCode::kDeadlineExceeded);
    case ErrorInfo::CANCELLED:
      if (!ending.cancelled) return "nobody cancelled it";
      return expect(absl::StatusCode::kCancelled);
    default:
      return "a reason that no rule allows";
  }
}

}  // namespace

std::string BrokenRule(const Plan& plan, const Ending& ending) {
  if (!ending.wrong.empty()) return absl::StrCat("WRONG ANSWER: ", ending.wrong);
  if (ending.dropped) return "";
  const auto info = GetErrorInfo(ending.status);
  if (plan.cancel_after == absl::ZeroDuration()) {
    // There may have been no place for it, or no server: whatever is found first.
    if (!info.has_value() || info->may_have_executed()) {
      return "it was cancelled before it began";
    }
  }
  return info.has_value() ? BrokenByRuntime(plan, ending, *info) : BrokenByServer(plan, ending);
}

bool SaysCertainlyNotExecuted(const absl::Status& status) {
  const auto info = GetErrorInfo(status);
  return info.has_value() && !info->may_have_executed();
}

std::string Kind(const absl::Status& status) {
  if (status.ok()) return "OK";
  const auto info = GetErrorInfo(status);
  if (!info.has_value()) {
    return absl::StartsWith(status.message(), kToldToFail)
               ? "told"
               : absl::StrCat("server:", absl::StatusCodeToString(status.code()));
  }
  return absl::StrCat(ErrorInfo::Reason_Name(info->reason()), info->may_have_executed() ? "?" : "");
}

}  // namespace spoolrpc::soak
