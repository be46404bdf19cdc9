// Code that sees every call of a server: metadata, messages, status.
#ifndef SPOOLRPC_SERVER_SERVER_INTERCEPTOR_H_
#define SPOOLRPC_SERVER_SERVER_INTERCEPTOR_H_

#include <memory>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/server/server_context.h"

namespace spoolrpc {

// Sees one call, on the threads that run its handler. Its functions must not block. OnStart() comes
// first, OnFinish() last; messages are told one at a time in each direction.
class ServerInterceptor {
 public:
  virtual ~ServerInterceptor() = default;

  // Before the handler: metadata may be added. An error ends the call with it, without the handler.
  virtual absl::Status OnStart(const MethodInfo& /*method*/, ServerContext* /*context*/) {
    return absl::OkStatus();
  }
  // The message may be changed before the handler gets it.
  virtual void OnReceiveMessage(google::protobuf::MessageLite* /*message*/) {}
  virtual void OnSendMessage(const google::protobuf::MessageLite& /*message*/) {}
  // The handler has ended; the status may be changed.
  virtual void OnFinish(absl::Status* /*status*/, ServerContext* /*context*/) {}
};

// Thread-safe.
class ServerInterceptorFactory {
 public:
  virtual ~ServerInterceptorFactory() = default;
  // The interceptor of a call of `method`; null: none.
  virtual std::unique_ptr<ServerInterceptor> CreateServerInterceptor(const MethodInfo& method) = 0;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_SERVER_INTERCEPTOR_H_
