// Calls without generated code: requests and replies are bytes.
#ifndef SPOOLRPC_CLIENT_GENERIC_STUB_H_
#define SPOOLRPC_CLIENT_GENERIC_STUB_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/client/channel_interface.h"
#include "spoolrpc/client/client_context.h"
#include "spoolrpc/link/bytes.h"
#include "spoolrpc/rpc/raw_method.h"

namespace spoolrpc {

// A stub for unary methods of any service, generated or raw: the bytes are the serialized message.
// Large ones travel without a copy where that is possible: what Allocate() has given is sent where
// it is, and a reply is used where the server has put it. Thread-safe.
class GenericStub {
 public:
  explicit GenericStub(std::shared_ptr<ChannelInterface> channel);

  // Calls `method`, such as "/package.Service/Method", and blocks until the call has ended, as the
  // methods of generated stubs do. On an error `*reply` is unspecified but valid. INVALID_ARGUMENT
  // for a name or options that make no sense; RESOURCE_EXHAUSTED for 2 GiB and more.
  absl::Status UnaryCall(ClientContext* context, absl::string_view method, const Bytes& request,
                         Bytes* reply, const RawMethodOptions& options = {});
  // The same without blocking: `done` is called once, on a thread of the runtime, and must not
  // block. `context` and `reply` must outlive the call.
  void UnaryCall(ClientContext* context, absl::string_view method, const Bytes& request,
                 Bytes* reply, std::function<void(absl::Status)> done,
                 const RawMethodOptions& options = {});

  // Memory for a request, to be filled in place: of a bulk buffer, if the channel has a server on
  // this host that takes such and the request is large enough, else of its own. Where the channel
  // has several servers the call may go to another one, for which it is copied. Does not look for a
  // server. May block as a local file system does.
  MutableBytes Allocate(size_t size);

 private:
  const std::shared_ptr<ChannelInterface> channel_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_GENERIC_STUB_H_
