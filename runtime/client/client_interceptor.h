// Code that sees every call of a channel: metadata, messages, status.
#ifndef SPOOLRPC_CLIENT_CLIENT_INTERCEPTOR_H_
#define SPOOLRPC_CLIENT_CLIENT_INTERCEPTOR_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/client/channel_interface.h"
#include "spoolrpc/client/client_context.h"
#include "spoolrpc/rpc/method_info.h"

namespace spoolrpc {

// Sees one call, once, however often the channel sends it. Its functions must not block. OnStart()
// comes first, OnFinish() last; messages are told one at a time in each direction.
class ClientInterceptor {
 public:
  virtual ~ClientInterceptor() = default;

  // Before anything is sent: metadata may be added. An error ends the call with it.
  virtual absl::Status OnStart(const MethodInfo& /*method*/, ClientContext* /*context*/) {
    return absl::OkStatus();
  }
  virtual void OnSendMessage(const google::protobuf::MessageLite& /*message*/) {}
  // The message may be changed before the program gets it.
  virtual void OnReceiveMessage(google::protobuf::MessageLite* /*message*/) {}
  // The call has ended; the status may be changed. The context has the server's metadata.
  virtual void OnFinish(absl::Status* /*status*/, ClientContext* /*context*/) {}
};

// Thread-safe.
class ClientInterceptorFactory {
 public:
  virtual ~ClientInterceptorFactory() = default;
  // The interceptor of a call of `method`; null: none.
  virtual std::unique_ptr<ClientInterceptor> CreateClientInterceptor(const MethodInfo& method) = 0;
};

// A channel whose calls pass the interceptors: what the program sends meets the first one first,
// what it gets meets the last one first.
std::shared_ptr<ChannelInterface> InterceptChannel(
    std::shared_ptr<ChannelInterface> channel,
    std::vector<std::shared_ptr<ClientInterceptorFactory>> factories);

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_CLIENT_INTERCEPTOR_H_
