#include "tests/failure/make_call.h"

#include <stdio.h>
#include <stdlib.h>

#include "spoolrpc/os/clock.h"

namespace spoolrpc::failure {

Result MakeCall(Failure::StubInterface* stub, const std::string& method, ClientContext* context,
                const Work& work) {
  Result result;
  Done done;
  absl::Status status;
  result.id = work.id();
  result.began = os::Clock::Real()->Now();
  if (method == "Echo") {
    status = stub->Echo(context, work, &done);
  } else if (method == "CountedAppend") {
    status = stub->CountedAppend(context, work, &done);
  } else if (method == "AckFirst") {
    status = stub->AckFirst(context, work, &done);
  } else if (method == "IdempotentAppend") {
    status = stub->IdempotentAppend(context, work, &done);
  } else {
    fprintf(stderr, "no method %s\n", method.c_str());
    abort();
  }
  result.ended = os::Clock::Real()->Now();
  result.code = status.code();
  result.message = std::string(status.message());
  result.acknowledged = context->acknowledged();
  result.server_pid = done.server_pid();
  if (const auto info = GetErrorInfo(status); info.has_value()) {
    result.reason = info->reason();
    result.may_have_executed = info->may_have_executed();
  }
  return result;
}

}  // namespace spoolrpc::failure
