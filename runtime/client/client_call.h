// One call while it is open on a session.
#ifndef SPOOLRPC_CLIENT_CLIENT_CALL_H_
#define SPOOLRPC_CLIENT_CLIENT_CALL_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/client/context_access.h"
#include "spoolrpc/log/format.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/rpc/arrived_message.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/rpc/reassembly.h"
#include "spoolrpc/wait/waker.h"
#include "spoolrpc/wire.pb.h"

namespace spoolrpc::client {

// Who is told of what comes for a streaming call, or for a call that nobody waits for. Called on
// the thread that reads, under the session's lock: must be short, and must not use the session.
// Owned by shared_ptr.
class CallObserver : public std::enable_shared_from_this<CallObserver> {
 public:
  virtual ~CallObserver() = default;
  virtual void OnInitialMetadata(Metadata metadata) = 0;
  // The bytes of a message. False: the server had no credit for it.
  virtual bool OnMessage(std::string bytes, bool compressed) = 0;
  // The server takes messages until so much was sent (docs/format.md, section 3).
  virtual void OnCredit(uint64_t total) = 0;
  // The call has left the session; it says how.
  virtual void OnEnded() = 0;
};

// Lives on the stack of the caller that waits for it, or belongs to its observer. Once on a
// session, its fields belong to that session's lock, except as noted.
struct ClientCall;

// A thread that waits for a call while another one reads. Belongs to it.
struct Sleeper {
  Sleeper(ClientCall* c, uint32_t s) : call(c), seen(s) {}

  ClientCall* const call;
  const uint32_t seen;  // of the call's version
  wait::Waker waker;
  // --- Under the session's lock.
  bool listed = false;                  // in the lists of its session and its call
  std::list<Sleeper*>::iterator place;  // in the session's
  Sleeper* next = nullptr;              // in the call's
};

struct ClientCall {
  ClientCall(const MethodInfo& m, ClientContext* c) : method(&m), context(c) {}

  // Constant while the call runs.
  const MethodInfo* const method;
  ContextAccess context;
  const google::protobuf::MessageLite* request = nullptr;
  size_t request_size = 0;
  Compression compression = Compression::kNone;  // of the request, if it becomes smaller
  google::protobuf::MessageLite* reply = nullptr;
  size_t max_reply_size = 0;
  os::Nanos began = 0;
  os::Nanos deadline = os::kNever;
  os::Nanos ack_deadline = os::kNever;

  int previous_attempts = 0;

  CallObserver* observer = nullptr;  // null: a unary call whose caller waits for it
  // Nobody waits for it on a thread of its own: the session has to read.
  bool async = false;

  std::atomic<bool> cancel_wakes{false};  // of the thread that waits

  uint64_t id = 0;
  // From which position of the request log on its CALL lies.
  uint64_t position = 0;
  std::atomic<bool> acknowledged{false};  // read without the lock
  std::atomic<bool> done{false};          // read without the lock
  std::atomic<uint32_t> version{0};       // grows when the observer was told something
  absl::Status status;
  // The call certainly was not and will not be executed on this session: it may go to another one.
  bool resend = false;
  // The whole payload of a reply that came in several frames, for the caller to parse.
  std::unique_ptr<rpc::Reassembly> reply_bytes;
  bool parse_reply_bytes = false;
  bool reply_compressed = false;
  // Of a reply in a bulk buffer; its header is in reply_bytes.
  std::shared_ptr<link::IncomingBulk> reply_bulk;
  // A message or metadata that comes in several frames.
  std::unique_ptr<rpc::Reassembly> partial;
  log::FrameType partial_type = log::FrameType::kMessage;
  bool partial_compressed = false;
  // Of the threads that wait for the call and sleep: one, or a stream's reader and its writer.
  Sleeper* sleepers = nullptr;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_CLIENT_CALL_H_
