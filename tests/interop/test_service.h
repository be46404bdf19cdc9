// The service that the interop cases call: what gRPC's description says under "Server".
#ifndef SPOOLRPC_TESTS_INTEROP_TEST_SERVICE_H_
#define SPOOLRPC_TESTS_INTEROP_TEST_SERVICE_H_

#include "spoolrpc/spoolrpc.h"
#include "tests/interop/test.spoolrpc.pb.h"

namespace spoolrpc::interop {

using grpc::testing::Empty;
using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using grpc::testing::StreamingInputCallRequest;
using grpc::testing::StreamingInputCallResponse;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;

// Thread-safe, without state. Every method but EmptyCall and UnimplementedCall echoes metadata, and
// a payload size below zero or a payload type that there is not is INVALID_ARGUMENT.
class TestServiceImpl final : public grpc::testing::TestService::Service {
 public:
  absl::Status EmptyCall(ServerContext* context, const Empty* request, Empty* reply) override;
  absl::Status UnaryCall(ServerContext* context, const SimpleRequest* request,
                         SimpleResponse* reply) override;
  absl::Status StreamingOutputCall(ServerContext* context,
                                   const StreamingOutputCallRequest* request,
                                   ServerWriter<StreamingOutputCallResponse>* writer) override;
  absl::Status StreamingInputCall(ServerContext* context,
                                  ServerReader<StreamingInputCallRequest>* reader,
                                  StreamingInputCallResponse* reply) override;
  absl::Status FullDuplexCall(
      ServerContext* context,
      ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>* stream) override;
  absl::Status HalfDuplexCall(
      ServerContext* context,
      ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>* stream) override;
};

}  // namespace spoolrpc::interop

#endif  // SPOOLRPC_TESTS_INTEROP_TEST_SERVICE_H_
