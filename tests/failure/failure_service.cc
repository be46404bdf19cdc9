#include "tests/failure/failure_service.h"

#include <signal.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace spoolrpc::failure {

absl::Status FailureService::Echo(ServerContext* context, const Work* request, Done* reply) {
  reply->set_server_pid(getpid());
  reply->set_payload(request->payload());
  return absl::OkStatus();
}

absl::Status FailureService::Execute(ServerContext* context, const Work* request, Done* reply) {
  if (!request->stop_if().empty() && unlink(request->stop_if().c_str()) == 0) raise(SIGSTOP);
  executions_.OnExecuted(request->id());
  const absl::Time end = absl::Now() + absl::Microseconds(request->microseconds());
  const std::string& hold = request->hold_until();
  while (absl::Now() < end || (!hold.empty() && access(hold.c_str(), F_OK) != 0)) {
    if (context->IsCancelled()) {
      executions_.OnCancelled(request->id());
      return absl::CancelledError("nobody waits");
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  reply->set_server_pid(getpid());
  reply->set_payload(request->payload());
  return absl::OkStatus();
}

}  // namespace spoolrpc::failure
