// The service of failure.proto.
#ifndef SPOOLRPC_TESTS_FAILURE_FAILURE_SERVICE_H_
#define SPOOLRPC_TESTS_FAILURE_FAILURE_SERVICE_H_

#include <string>

#include "spoolrpc/spoolrpc.h"
#include "tests/failure/executions.h"
#include "tests/failure/failure.spoolrpc.pb.h"

namespace spoolrpc::failure {

// Thread-safe.
class FailureService final : public Failure::Service {
 public:
  explicit FailureService(const std::string& executions) : executions_(executions) {}

  absl::Status Echo(ServerContext* context, const Work* request, Done* reply) override;
  absl::Status CountedAppend(ServerContext* context, const Work* request, Done* reply) override {
    return Execute(context, request, reply);
  }
  absl::Status AckFirst(ServerContext* context, const Work* request, Done* reply) override {
    return Execute(context, request, reply);
  }
  absl::Status IdempotentAppend(ServerContext* context, const Work* request, Done* reply) override {
    return Execute(context, request, reply);
  }

 private:
  absl::Status Execute(ServerContext* context, const Work* request, Done* reply);

  const ExecutionWriter executions_;
};

}  // namespace spoolrpc::failure

#endif  // SPOOLRPC_TESTS_FAILURE_FAILURE_SERVICE_H_
