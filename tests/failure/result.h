// How a call ended, as a line that one process prints and another reads.
#ifndef SPOOLRPC_TESTS_FAILURE_RESULT_H_
#define SPOOLRPC_TESTS_FAILURE_RESULT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::failure {

struct Result {
  std::string id;
  int64_t began = 0;  // by os::Clock, which all processes of a host share
  int64_t ended = 0;
  absl::StatusCode code = absl::StatusCode::kOk;
  // Of the runtime's own statuses; kNone if the handler ended the call.
  static constexpr int kNone = -1;
  int reason = kNone;  // an ErrorInfo::Reason
  bool may_have_executed = false;
  bool acknowledged = false;
  int64_t server_pid = 0;  // of a call that was answered OK
  std::string message;

  bool ok() const { return code == absl::StatusCode::kOk; }
  // The status says that the call certainly was not executed.
  bool certainly_not_executed() const { return !ok() && reason != kNone && !may_have_executed; }
};

std::string FormatResult(const Result& result);
// None for a line that is not a whole result.
std::optional<Result> ParseResult(absl::string_view line);
// For messages of tests.
std::ostream& operator<<(std::ostream& out, const Result& result);

}  // namespace spoolrpc::failure

#endif  // SPOOLRPC_TESTS_FAILURE_RESULT_H_
