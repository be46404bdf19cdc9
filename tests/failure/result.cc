#include "tests/failure/result.h"

#include <ostream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace spoolrpc::failure {

std::string FormatResult(const Result& result) {
  return absl::StrCat(result.id, "|", result.began, "|", result.ended, "|",
                      static_cast<int>(result.code), "|", result.reason, "|",
                      result.may_have_executed ? 1 : 0, "|", result.acknowledged ? 1 : 0, "|",
                      result.server_pid, "|",
                      absl::StrReplaceAll(result.message, {{"|", "/"}, {"\n", " "}}), "|end\n");
}

std::optional<Result> ParseResult(absl::string_view line) {
  const std::vector<absl::string_view> fields = absl::StrSplit(line, '|');
  Result result;
  int code = 0, may_have_executed = 0, acknowledged = 0;
  if (fields.size() != 10 || fields[9] != "end" || !absl::SimpleAtoi(fields[1], &result.began) ||
      !absl::SimpleAtoi(fields[2], &result.ended) || !absl::SimpleAtoi(fields[3], &code) ||
      !absl::SimpleAtoi(fields[4], &result.reason) ||
      !absl::SimpleAtoi(fields[5], &may_have_executed) ||
      !absl::SimpleAtoi(fields[6], &acknowledged) ||
      !absl::SimpleAtoi(fields[7], &result.server_pid)) {
    return std::nullopt;
  }
  result.id = std::string(fields[0]);
  result.code = static_cast<absl::StatusCode>(code);
  result.may_have_executed = may_have_executed != 0;
  result.acknowledged = acknowledged != 0;
  result.message = std::string(fields[8]);
  return result;
}

std::ostream& operator<<(std::ostream& out, const Result& result) {
  out << result.id << ": " << absl::StatusCodeToString(result.code);
  if (result.reason != Result::kNone) {
    out << " " << ErrorInfo::Reason_Name(static_cast<ErrorInfo::Reason>(result.reason))
        << (result.may_have_executed ? " (may have executed)" : " (certainly not executed)");
  }
  return out << " after " << (result.ended - result.began) / 1000000 << " ms: " << result.message;
}

}  // namespace spoolrpc::failure
