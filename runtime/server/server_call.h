// One call on the server's side, from its CALL to its REPLY.
#ifndef SPOOLRPC_SERVER_SERVER_CALL_H_
#define SPOOLRPC_SERVER_SERVER_CALL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/link/raw_message.h"
#include "spoolrpc/log/format.h"
#include "spoolrpc/metrics/call_counter.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/rpc/arrived_message.h"
#include "spoolrpc/rpc/reassembly.h"
#include "spoolrpc/server/after_reply.h"
#include "spoolrpc/server/call_session.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/server/server_context.h"
#include "spoolrpc/server/server_reactor.h"
#include "spoolrpc/server/server_stream.h"
#include "spoolrpc/wire.pb.h"

namespace spoolrpc::server {

// Who calls.
struct Peer {
  std::shared_ptr<const std::string> name;  // for people
  PeerIdentity identity;
};

// Shared by the session, which may cancel it, and whoever runs it. Thread-safe.
class ServerCall final : public ServerStream,
                         public AsyncServerCall,
                         public std::enable_shared_from_this<ServerCall> {
 public:
  ServerCall(std::shared_ptr<CallSession> session, uint64_t id, MethodEntry* method,
             const wire::CallHeader& header, const Peer& peer, os::Nanos arrived);
  ~ServerCall() override;

  const std::shared_ptr<CallSession>& session() const { return session_; }
  uint64_t id() const { return id_; }
  MethodEntry* method() const { return method_; }
  bool expired(os::Nanos now) const { return now >= deadline_; }
  bool client_streams() const;
  bool server_streams() const;
  bool uses_reactor() const { return method_->handler().uses_reactor(); }

  // Parses the request. INTERNAL, naming the method, if the bytes are not one.
  absl::Status ParseRequest(absl::string_view bytes, bool compressed);
  // The same with a request in a bulk buffer; see rpc::ParseArrived().
  absl::Status ParseBulkRequest(const rpc::ArrivedMessage& request, absl::Status* damage);
  // Runs the handler, on this thread, and keeps its status and reply. What it throws becomes a
  // status with an ExceptionInfo. The reply is checked: it must be serializable.
  void RunHandler() ABSL_LOCKS_EXCLUDED(mu_);
  // The same in parts, for a handler of several calls: it is given the request, the context and a
  // reply, on this thread, and then its status for this call.
  const google::protobuf::MessageLite* request() const { return request_.get(); }
  ServerContext* context() { return &context_; }
  google::protobuf::MessageLite* NewReply();
  void EndHandler(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  // Starts the handler's reactor, which ends the call, now or later. True: it has.
  bool StartReactor() ABSL_LOCKS_EXCLUDED(mu_);
  // Has `fn` called, once, when the reactor has ended the call. False: it has already, and nobody
  // calls it.
  bool WhenDone(std::function<void()> fn) ABSL_LOCKS_EXCLUDED(mu_);

  // Before the reply is sent: takes a place for what the handler wants done after it.
  void TakePlaceAfterReply();
  // The reply has been sent: that is done soon.
  void OnReplySent();
  bool has_work_after_reply() const { return after_reply_ != nullptr; }
  bool has_raw_reply() const { return link::RawMessage::From(reply_.get()) != nullptr; }

  // Nobody waits any more.
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);
  bool cancelled() const { return context_.cancelled_.load(std::memory_order_acquire); }

  // --- What the session tells, under its lock.
  // A message of the client's stream. False: there was no credit for it.
  bool OnMessage(std::string bytes, bool compressed) ABSL_LOCKS_EXCLUDED(mu_);
  void OnHalfClose() ABSL_LOCKS_EXCLUDED(mu_);
  void OnCredit(uint64_t total) ABSL_LOCKS_EXCLUDED(mu_);

  // --- After the handler.
  const absl::Status& status() const { return status_; }
  const google::protobuf::MessageLite* reply() const { return reply_.get(); }
  size_t reply_size() const { return reply_size_; }
  // Compresses in place, if the call's messages are to be compressed, the client takes that, and it
  // makes them smaller.
  bool Compress(std::string* bytes) const;
  bool compresses() const;
  int32_t reason() const { return reason_; }  // an ErrorInfo::Reason of the runtime's own making
  void EncodeMetadata(wire::ReplyHeader* header) const;
  // What it comes to. Its end is counted once, by the session.
  const metrics::CallCounter& counter() const { return counter_; }
  void FailReply(absl::Status status, int32_t reason) {
    status_ = std::move(status);
    reason_ = reason;
  }

  // --- ServerStream, for the handler's threads.
  void SendInitialMetadata() override ABSL_LOCKS_EXCLUDED(mu_);
  bool Read(google::protobuf::MessageLite* message) override ABSL_LOCKS_EXCLUDED(mu_);
  bool Write(const google::protobuf::MessageLite& message, WriteOptions options) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void StopReading() override ABSL_LOCKS_EXCLUDED(mu_);

  // --- AsyncServerCall, for the reactor.
  void StartSendInitialMetadata() override ABSL_LOCKS_EXCLUDED(mu_);
  void StartRead(google::protobuf::MessageLite* message) override ABSL_LOCKS_EXCLUDED(mu_);
  void StartWrite(const google::protobuf::MessageLite* message, WriteOptions options) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void WriteAndFinish(const google::protobuf::MessageLite* message, WriteOptions options,
                      absl::Status status) override ABSL_LOCKS_EXCLUDED(mu_);
  void Finish(absl::Status status) override ABSL_LOCKS_EXCLUDED(mu_);

  // Whether the acknowledgement has gone out. Belongs to the session's lock.
  bool acknowledged = false;
  // Whether the handler runs, or has run. Belongs to the session's lock.
  bool started = false;
  // Whether its end has been counted. Belongs to the session's lock.
  bool counted = false;
  // A message of the client's stream that comes in several frames. Belongs to the session's lock.
  std::unique_ptr<rpc::Reassembly> partial;
  bool partial_compressed = false;
  // A request in a bulk buffer, until it is read. Belongs to whoever starts the call.
  rpc::ArrivedMessage bulk_request;

 private:
  struct Inbound {
    std::string bytes;
    bool compressed = false;
  };

  Inbound TakeInbound(uint64_t* credit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Parse(Inbound inbound, google::protobuf::MessageLite* message) ABSL_LOCKS_EXCLUDED(mu_);
  bool Serialize(const google::protobuf::MessageLite& message, std::string* bytes)
      ABSL_LOCKS_EXCLUDED(mu_);
  // What the runtime found wrong, whatever the handler says then.
  void Override(absl::Status status, int32_t reason) ABSL_LOCKS_EXCLUDED(mu_);
  bool HasCredit() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return sent_ < credit_; }
  // Sends INITIAL unless it was sent, or there is nothing to send and nobody asked.
  void SendInitial(bool asked) ABSL_LOCKS_EXCLUDED(mu_);
  void SendMessage(const std::string& bytes, bool compressed, bool flush) ABSL_LOCKS_EXCLUDED(mu_);
  // Checks status, metadata and reply before they are sent.
  void CheckResult() ABSL_LOCKS_EXCLUDED(mu_);
  // A deadline that passes cancels the call.
  void WatchDeadline() ABSL_LOCKS_EXCLUDED(mu_);

  // Of reactors: tells one end after the other.
  void Schedule() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Pump() ABSL_LOCKS_EXCLUDED(mu_);
  bool PumpOne() ABSL_LOCKS_EXCLUDED(mu_);

  const std::shared_ptr<CallSession> session_;
  const uint64_t id_;
  MethodEntry* const method_;
  const metrics::CallCounter counter_;
  os::Nanos deadline_ = os::kNever;
  CallbackServerContext context_;
  std::unique_ptr<google::protobuf::MessageLite> request_;
  std::unique_ptr<google::protobuf::MessageLite> reply_;
  absl::Status status_;
  size_t reply_size_ = 0;
  bool large_ = false;  // the request came in a bulk buffer: the method keeps the messages
  int32_t reason_ = 0;
  std::atomic<bool> initial_sent_{false};
  std::atomic<bool> deadline_passed_{false};
  std::shared_ptr<AfterReply::Place> after_reply_;

  absl::Mutex mu_;
  absl::CondVar changed_;
  std::list<Inbound> inbound_ ABSL_GUARDED_BY(mu_);
  bool half_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool reading_stopped_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t received_ ABSL_GUARDED_BY(mu_) = 0;  // as credit counts
  uint64_t taken_ ABSL_GUARDED_BY(mu_) = 0;     // of that, by the handler
  uint64_t granted_ ABSL_GUARDED_BY(mu_);
  uint64_t sent_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t credit_ ABSL_GUARDED_BY(mu_);
  bool overridden_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status override_ ABSL_GUARDED_BY(mu_);
  int32_t override_reason_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t timer_ ABSL_GUARDED_BY(mu_) = 0;

  // Of reactors.
  ServerReactor* reactor_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool done_ ABSL_GUARDED_BY(mu_) = false;  // the reactor may be gone
  std::function<void()> when_done_ ABSL_GUARDED_BY(mu_);
  bool scheduled_ ABSL_GUARDED_BY(mu_) = false;
  bool cancel_told_ ABSL_GUARDED_BY(mu_) = false;
  bool sending_initial_ ABSL_GUARDED_BY(mu_) = false;
  google::protobuf::MessageLite* reading_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool write_silent_ ABSL_GUARDED_BY(mu_) = false;
  bool write_failed_ ABSL_GUARDED_BY(mu_) = false;
  bool write_flush_ ABSL_GUARDED_BY(mu_) = true;
  bool write_compressed_ ABSL_GUARDED_BY(mu_) = false;
  std::string write_ ABSL_GUARDED_BY(mu_);
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status finish_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_SERVER_CALL_H_
