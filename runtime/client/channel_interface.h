// The narrow seam between generated stubs and the runtime.
#ifndef SPOOLRPC_CLIENT_CHANNEL_INTERFACE_H_
#define SPOOLRPC_CLIENT_CHANNEL_INTERFACE_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/client/client_reactor.h"
#include "spoolrpc/client/client_stream.h"
#include "spoolrpc/link/bytes.h"
#include "spoolrpc/rpc/method_info.h"

namespace spoolrpc {

class ClientContext;
class DurableInterface;

// Thread-safe. Stubs hold it by shared_ptr; a test may implement it.
class ChannelInterface {
 public:
  virtual ~ChannelInterface() = default;

  // Calls `method` and blocks until the call has ended. `context`, `request` and `reply` must
  // outlive the call and are not kept. On an error `*reply` is unspecified but valid.
  virtual absl::Status BlockingUnaryCall(const MethodInfo& method, ClientContext* context,
                                         const google::protobuf::MessageLite& request,
                                         google::protobuf::MessageLite* reply) = 0;

  // Begins a streaming call. `request` is null if the client streams, and is not kept; `reply` is
  // null if the server streams. `context` and `reply` must outlive the stream. Never null: what
  // goes wrong is told by the stream's Finish(). May block until a server is found.
  virtual std::unique_ptr<ClientStream> StartStream(const MethodInfo& method,
                                                    ClientContext* context,
                                                    const google::protobuf::MessageLite* request,
                                                    google::protobuf::MessageLite* reply);

  // Calls `method` without blocking; `done` is called once, on a thread of the runtime, and must
  // not block. `context`, `request` and `reply` must outlive the call.
  virtual void StartUnaryCall(const MethodInfo& method, ClientContext* context,
                              const google::protobuf::MessageLite* request,
                              google::protobuf::MessageLite* reply,
                              std::function<void(absl::Status)> done);

  // Gives `reactor` a call of `method`, which begins with its StartCall(). `request` and `reply` as
  // for StartStream(); `request` must live until OnDone() too.
  virtual void PrepareCall(const MethodInfo& method, ClientContext* context,
                           const google::protobuf::MessageLite* request,
                           google::protobuf::MessageLite* reply, ClientReactor* reactor);

  // A call of `method` ended with `status`, an error, and its future is gone without anybody having
  // looked. Called on any thread; must not block. Does nothing here.
  virtual void OnUnobservedError(const MethodInfo& /*method*/, const absl::Status& /*status*/) {}

  // See GenericStub::Allocate(). Memory of its own here.
  virtual MutableBytes AllocateRequest(size_t size) { return MutableBytes(size); }

  // Calls that outlive both processes (spoolrpc/client/durable.h); lives as long as the channel.
  // Null: there are none.
  virtual DurableInterface* durable() { return nullptr; }
};

// Reserved for options of a single stub, as grpc::StubOptions.
class StubOptions {};

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_CHANNEL_INTERFACE_H_
