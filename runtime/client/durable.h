// Durable calls: stub->durable()->Method(request) leaves the call in the spool and returns a
// ticket; any process collects the reply with it, at any time.
#ifndef SPOOLRPC_CLIENT_DURABLE_H_
#define SPOOLRPC_CLIENT_DURABLE_H_

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/client/channel_interface.h"
#include "spoolrpc/client/client_context.h"
#include "spoolrpc/client/ticket.h"
#include "spoolrpc/rpc/method_info.h"

namespace spoolrpc {

// What a channel does for durable calls. Thread-safe; every function blocks as the file system
// does, and Collect() as long as it is told. A test may implement it.
class DurableInterface {
 public:
  virtual ~DurableInterface() = default;

  // Leaves a call of `method` in the spool. `request` is not kept, and `context` is for this call
  // alone. `reply_type`: the full name of the reply's message.
  virtual absl::StatusOr<Ticket> Submit(const MethodInfo& method, ClientContext* context,
                                        const google::protobuf::MessageLite& request,
                                        const std::string& reply_type) = 0;
  // The call's status and reply. `service` is that of the stub, "package.Service"; `context` may be
  // null.
  virtual absl::Status Collect(const Ticket& ticket, absl::string_view service,
                               ClientContext* context, google::protobuf::MessageLite* reply,
                               absl::Duration wait) = 0;
  virtual absl::Status Delete(const Ticket& ticket) = 0;
  virtual absl::Status Cancel(const Ticket& ticket) = 0;
};

// What `stub->durable()` has beside a function for each unary method. Thread-safe.
class DurableTickets {
 public:
  // The reply of the call, or the status that it ended with; waits for it for at most `wait`.
  // Whoever has the ticket may collect, as often as he likes, and gets the same, until the call is
  // deleted. `context` (may be null) is given the reply's metadata, and its TryCancel() ends the
  // waiting. What is not the call's own status has an ErrorInfo (GetErrorInfo()):
  //   NOT_FINISHED     UNAVAILABLE: there is no reply yet;
  //   NO_SUCH_TICKET   NOT_FOUND: there is no such call in this spool, or no longer;
  //   BAD_MESSAGE      INVALID_ARGUMENT: it is of another service, or its reply is not an R;
  //   SESSION_CORRUPT  DATA_LOSS: its files are damaged.
  template <class R, class = std::enable_if_t<std::is_base_of_v<google::protobuf::MessageLite, R>>>
  absl::Status Collect(const Ticket& ticket, R* reply, absl::Duration wait = absl::ZeroDuration(),
                       ClientContext* context = nullptr) {
    return CollectMessage(ticket, reply, wait, context);
  }
  template <class R>
  absl::StatusOr<R> Collect(const Ticket& ticket, absl::Duration wait = absl::ZeroDuration()) {
    R reply;
    if (absl::Status s = CollectMessage(ticket, &reply, wait, nullptr); !s.ok()) return s;
    return reply;
  }

  // Removes the call and its reply. Of a call that has none yet nobody will know how it ended; if
  // its handler runs, it sees that it is cancelled. NOT_FOUND (NO_SUCH_TICKET) as above.
  absl::Status Delete(const Ticket& ticket);

  // Ends the call with CANCELLED, which is then collected as its status; GetErrorInfo() says
  // whether it may have been executed. No server is needed. FAILED_PRECONDITION: it has ended
  // otherwise.
  absl::Status Cancel(const Ticket& ticket);

 protected:
  // Without a channel: all calls are UNIMPLEMENTED.
  DurableTickets() = default;
  // `service` must outlive it.
  DurableTickets(std::shared_ptr<ChannelInterface> channel, const char* service)
      : channel_of_tickets_(std::move(channel)), service_of_tickets_(service) {}
  virtual ~DurableTickets() = default;

  // For generated code. `setup` (may be null) has the call's context first.
  absl::StatusOr<Ticket> SubmitMessage(const MethodInfo& method,
                                       const google::protobuf::MessageLite& request,
                                       const std::function<void(ClientContext*)>& setup,
                                       const std::string& reply_type);

 private:
  absl::Status CollectMessage(const Ticket& ticket, google::protobuf::MessageLite* reply,
                              absl::Duration wait, ClientContext* context);

  const std::shared_ptr<ChannelInterface> channel_of_tickets_;
  const char* const service_of_tickets_ = "";
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_DURABLE_H_
