#include "spoolrpc/spool/reason.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc::spool {
namespace {
constexpr char kReasonUrl[] = "spoolrpc/reason";
}  // namespace

absl::Status WithReason(absl::Status status, ErrorInfo::Reason reason) {
  status.SetPayload(kReasonUrl, absl::Cord(absl::StrCat(static_cast<int>(reason))));
  return status;
}

ErrorInfo::Reason ReasonOf(const absl::Status& status, ErrorInfo::Reason otherwise) {
  const auto payload = status.GetPayload(kReasonUrl);
  int reason = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &reason) ||
      !ErrorInfo::Reason_IsValid(reason)) {
    return otherwise;
  }
  return static_cast<ErrorInfo::Reason>(reason);
}

}  // namespace spoolrpc::spool
