// What a call on the server's side came by, and its reply goes by: a client's session, or the files
// of a durable call.
#ifndef SPOOLRPC_SERVER_CALL_SESSION_H_
#define SPOOLRPC_SERVER_CALL_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/link/bytes.h"
#include "spoolrpc/link/flush_scope.h"
#include "spoolrpc/log/format.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/wire.pb.h"

namespace spoolrpc::server {

class ServerCall;
class SessionHost;

// Thread-safe.
class CallSession : public link::Flushable {
 public:
  virtual SessionHost* host() const = 0;
  virtual const os::Clock* clock() const = 0;
  virtual size_t max_request_size() const = 0;
  virtual size_t max_reply_size() const = 0;
  // Whether the client takes messages that are compressed so.
  virtual bool Takes(Compression compression) const = 0;

  enum class Start {
    kRun,       // go on
    kDropped,   // cancelled, or the session has ended: nothing is to be answered
    kAnswered,  // the deadline has passed: the answer has been sent
    kHeld,      // not before the client's lease has moved; the session dispatches it again
  };
  // Asked right before the handler of `call` is started (docs/protocol.md, sections 4 and 10). May
  // wait for a flush, where the method or the lease demands it.
  Start BeginCall(const std::shared_ptr<ServerCall>& call) {
    const Start prepared = PrepareCall(call);
    return prepared == Start::kRun ? CheckCall(call) : prepared;
  }
  // The same in two parts, for a handler of several calls: all of them are prepared, for which this
  // may wait, before the first one is checked, for which it does not wait. kRun: go on.
  virtual Start PrepareCall(const std::shared_ptr<ServerCall>& call) = 0;
  virtual Start CheckCall(const std::shared_ptr<ServerCall>& call) = 0;

  // Memory for a reply that is sent here: of its own, unless there are bulk buffers.
  virtual MutableBytes AllocateReply(size_t size) { return MutableBytes(size); }
  // Sends the reply of a call whose handler has run. Goes out with Flush().
  virtual void EndCall(const std::shared_ptr<ServerCall>& call) = 0;
  // Adds a MESSAGE or INITIAL of an open call; nothing if it is open no longer. Goes out with
  // Flush().
  virtual void SendPart(ServerCall* call, log::FrameType type, uint8_t flags,
                        absl::string_view bytes) = 0;
  // Tells the client how much of its stream it may have sent.
  virtual void SendCredit(uint64_t call, uint64_t total) = 0;
  // Ends a call that was not started.
  virtual void RejectCall(const std::shared_ptr<ServerCall>& call, wire::NotStarted why,
                          const absl::Status& status) = 0;
  // Acknowledges the call, unless that or more has happened.
  virtual void Acknowledge(const std::shared_ptr<ServerCall>& call) = 0;
  // Within a link::FlushScope of this thread that is put off; FlushNow() is not.
  virtual void Flush() = 0;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_CALL_SESSION_H_
