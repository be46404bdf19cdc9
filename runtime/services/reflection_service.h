// grpc.reflection.v1.ServerReflection for a server of SpoolRPC.
//
//   spoolrpc::ReflectionService reflection;
//   builder.RegisterService(&reflection);
//
// It lists the services of the server, and knows all .proto files whose C++ code is linked into the
// program (but for those with optimize_for = LITE_RUNTIME, which carry no descriptors), served or
// not: who may call the server may read them. Streams that are open when the server drains end with
// UNAVAILABLE. A stream costs no thread.
#ifndef SPOOLRPC_SERVICES_REFLECTION_SERVICE_H_
#define SPOOLRPC_SERVICES_REFLECTION_SERVICE_H_

#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1/reflection.spoolrpc.pb.h"
#include "spoolrpc/server/server_reactor.h"
#include "spoolrpc/services/open_streams.h"

namespace spoolrpc {

// For one server at a time: BuildAndStart() of a second one fails with FAILED_PRECONDITION.
class ReflectionService final : public grpc::reflection::v1::ServerReflection::CallbackService {
 public:
  ReflectionService();

  // The handler.
  ServerBidiReactor<grpc::reflection::v1::ServerReflectionRequest,
                    grpc::reflection::v1::ServerReflectionResponse>*
  ServerReflectionInfo(CallbackServerContext* context) override;

 private:
  class Conversation;

  services::OpenStreams streams_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVICES_REFLECTION_SERVICE_H_
