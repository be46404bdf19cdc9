// One call on the server's side, from its CALL to its REPLY.
#ifndef SPOOLRPC_SERVER_SERVER_CALL_H_
#define SPOOLRPC_SERVER_SERVER_CALL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/server/server_context.h"
#include "spoolrpc/wire.pb.h"

namespace spoolrpc::server {

class ServerSession;

// Shared by the session, which may cancel it, and whoever runs it.
class ServerCall {
 public:
  ServerCall(std::shared_ptr<ServerSession> session, uint64_t id, MethodEntry* method,
             const wire::CallHeader& header, const std::string& peer, os::Nanos arrived);

  const std::shared_ptr<ServerSession>& session() const { return session_; }
  uint64_t id() const { return id_; }
  MethodEntry* method() const { return method_; }
  os::Nanos arrived() const { return arrived_; }
  bool expired(os::Nanos now) const { return now >= deadline_; }

  // Parses the request. INTERNAL, naming the method, if the bytes are not one.
  absl::Status ParseRequest(absl::string_view bytes);
  // Runs the handler, on this thread, and keeps its status and reply. What it throws becomes a
  // status with an ExceptionInfo. The reply is checked: it must be serializable.
  void RunHandler();

  void Cancel() { context_.cancelled_.store(true, std::memory_order_release); }
  bool cancelled() const { return context_.cancelled_.load(std::memory_order_acquire); }

  // After RunHandler().
  const absl::Status& status() const { return status_; }
  const google::protobuf::MessageLite* reply() const { return reply_.get(); }
  size_t reply_size() const { return reply_size_; }
  int32_t reason() const { return reason_; }  // an ErrorInfo::Reason of the runtime's own making
  void EncodeMetadata(wire::ReplyHeader* header) const;
  void FailReply(absl::Status status, int32_t reason) {
    status_ = std::move(status);
    reason_ = reason;
  }

  // Whether the acknowledgement has gone out. Belongs to the session's lock.
  bool acknowledged = false;
  // Whether the handler runs, or has run. Belongs to the session's lock.
  bool started = false;

 private:
  const std::shared_ptr<ServerSession> session_;
  const uint64_t id_;
  MethodEntry* const method_;
  const os::Nanos arrived_;
  os::Nanos deadline_ = os::kNever;
  ServerContext context_;
  std::unique_ptr<google::protobuf::MessageLite> request_;
  std::unique_ptr<google::protobuf::MessageLite> reply_;
  absl::Status status_;
  size_t reply_size_ = 0;
  int32_t reason_ = 0;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_SERVER_CALL_H_
