// The narrow seam between generated stubs and the runtime.
#ifndef SPOOLRPC_CLIENT_CHANNEL_INTERFACE_H_
#define SPOOLRPC_CLIENT_CHANNEL_INTERFACE_H_

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/rpc/method_info.h"

namespace spoolrpc {

class ClientContext;

// Thread-safe. Stubs hold it by shared_ptr; a test may implement it.
class ChannelInterface {
 public:
  virtual ~ChannelInterface() = default;

  // Calls `method` and blocks until the call has ended. `context`, `request` and `reply` must
  // outlive the call and are not kept. On an error `*reply` is unspecified but valid.
  virtual absl::Status BlockingUnaryCall(const MethodInfo& method, ClientContext* context,
                                         const google::protobuf::MessageLite& request,
                                         google::protobuf::MessageLite* reply) = 0;
};

// Reserved for options of a single stub, as grpc::StubOptions.
class StubOptions {};

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_CHANNEL_INTERFACE_H_
