// A call whose messages stream, or whose end nobody waits for: what blocking streams, reactors,
// callbacks and futures have in common.
#ifndef SPOOLRPC_CLIENT_STREAM_CALL_H_
#define SPOOLRPC_CLIENT_STREAM_CALL_H_

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/client/call_limit.h"
#include "spoolrpc/client/callback_batch.h"
#include "spoolrpc/client/channel_interface.h"
#include "spoolrpc/client/client_call.h"
#include "spoolrpc/client/client_session.h"
#include "spoolrpc/client/session_pool.h"
#include "spoolrpc/exec/deadline_set.h"
#include "spoolrpc/metrics/call_counter.h"

namespace spoolrpc::client {

// What all calls of a channel share. Owned by the channel.
struct CallResources {
  SessionPool* pool = nullptr;
  exec::DeadlineSet* deadlines = nullptr;
  const os::Clock* clock = nullptr;
  std::string path;
  size_t max_send_size = 0;
  size_t max_receive_size = 0;
};

// What the context, the channel and the method together say about a call.
struct CallSettings {
  os::Nanos began = 0;
  os::Nanos deadline = os::kNever;
  os::Nanos ack_deadline = os::kNever;
  os::Nanos ack_timeout = os::kNever;
  // Until when, and how, it waits for a server.
  os::Nanos connect_deadline = os::kNever;
  bool fail_fast = false;
  Compression compression = Compression::kNone;
  // Of calls that are sent again: how often before, and which servers others are preferred to.
  int previous_attempts = 0;
  std::vector<std::string> avoid;
};

// The error of a call that has found no session until `now`. Takes the pool's lock.
absl::Status NoSession(const absl::Status& status, const MethodInfo& method,
                       const CallSettings& settings, os::Nanos now, const CallResources& resources);

// When an attempt that begins now, by `clock`, has to be acknowledged.
os::Nanos AckDeadline(const CallSettings& settings, const os::Clock& clock);

// Thread-safe. Owned by shared_ptr. One of two kinds: *blocking*, driven by the threads that wait
// in it; or *asynchronous*, with a reactor or a callback, driven by threads of the runtime; it then
// lives until its end has been told.
class StreamCall final : public CallObserver,
                         public AsyncClientCall,
                         public CallbackSource,
                         private exec::DeadlineSet::Entry {
 public:
  // `request` is null if the client streams, `reply` if the server does.
  StreamCall(const CallResources* resources, const MethodInfo& method, ClientContext* context,
             const CallSettings& settings, const google::protobuf::MessageLite* request,
             google::protobuf::MessageLite* reply);
  ~StreamCall() override;

  // --- Blocking; see ClientStream.
  void Begin() ABSL_LOCKS_EXCLUDED(mu_);
  void WaitForInitialMetadata() ABSL_LOCKS_EXCLUDED(mu_);
  bool Read(google::protobuf::MessageLite* message) ABSL_LOCKS_EXCLUDED(mu_);
  bool Write(const google::protobuf::MessageLite& message, WriteOptions options)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool WritesDone() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Finish() ABSL_LOCKS_EXCLUDED(mu_);
  // Cancels the call if it has not ended. Afterwards it uses no session any more.
  void Abandon() ABSL_LOCKS_EXCLUDED(mu_);

  // Gives its place back there when it ends.
  void set_limit(CallLimit* limit) { limit_ = limit; }

  // Counts there from here on. (Of a call that is sent again only the whole is counted.)
  void set_counter(const metrics::CallCounter& counter) { counter_ = counter; }

  // The id of the server that it is with; empty if with none.
  std::string server_id() const ABSL_LOCKS_EXCLUDED(mu_);

  // --- Asynchronous. `keep` is released when the end has been told.
  void BindReactor(ClientReactor* reactor, std::shared_ptr<void> keep);
  void BindCallback(std::function<void(absl::Status)> done, std::shared_ptr<void> keep);
  // Ends as it begins.
  void FailWith(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  void StartCall() override ABSL_LOCKS_EXCLUDED(mu_);
  void StartRead(google::protobuf::MessageLite* message) override ABSL_LOCKS_EXCLUDED(mu_);
  void StartWrite(const google::protobuf::MessageLite* message, WriteOptions options) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void StartWritesDone() override ABSL_LOCKS_EXCLUDED(mu_);
  void AddHolds(int holds) override ABSL_LOCKS_EXCLUDED(mu_);
  void RemoveHold() override ABSL_LOCKS_EXCLUDED(mu_);

  // --- CallObserver.
  void OnInitialMetadata(Metadata metadata) override ABSL_LOCKS_EXCLUDED(mu_);
  bool OnMessage(std::string bytes, bool compressed) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnCredit(uint64_t total) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnEnded() override ABSL_LOCKS_EXCLUDED(mu_);

  // --- CallbackSource.
  void RunCallbacks() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  enum class State {
    kIdle,        // not begun
    kConnecting,  // looks for a session, or begins on one; what is written is kept
    kOpen,        // on a session
    kEnded,       // status_ says how
  };
  struct Inbound {
    std::string bytes;
    bool compressed = false;
  };
  // What was written so far, to be written again on another session.
  struct Written {
    bool half_close = false;
    bool compress = true;
    std::string bytes;
  };

  // While one lives, the end of an asynchronous call is not told: this thread is at work on its
  // session, and once the end is told, context, session and channel may be gone.
  class AtWork {
   public:
    explicit AtWork(StreamCall* call);
    ~AtWork();
    AtWork(const AtWork&) = delete;
    AtWork& operator=(const AtWork&) = delete;

   private:
    const std::shared_ptr<StreamCall> call_;
  };

  bool async() const { return async_; }
  ContextAccess access() const { return ContextAccess(context_); }
  // Makes the next attempt, on `session`. False: it takes no calls any more, try another.
  bool BeginOn(const std::shared_ptr<ClientSession>& session) ABSL_LOCKS_EXCLUDED(mu_);
  // The attempt has ended: the call ends with it, or goes on elsewhere.
  void AfterAttempt() ABSL_LOCKS_EXCLUDED(mu_);
  // Looks for a session; blocks.
  void Connect() ABSL_LOCKS_EXCLUDED(mu_);
  // The same without blocking.
  void ConnectAsync() ABSL_LOCKS_EXCLUDED(mu_);
  void End(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Blocks until something may have changed since the caller looked, at `version`.
  void AwaitChange(uint32_t version) ABSL_LOCKS_EXCLUDED(mu_);
  uint32_t version() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);
  void SetDeadline() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // exec::DeadlineSet::Entry.
  void OnDue() override;
  void OnDeadline() ABSL_LOCKS_EXCLUDED(mu_);

  // An error if it cannot be sent.
  absl::Status Serialize(const google::protobuf::MessageLite& message, std::string* bytes) const;
  bool HasCredit() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return sent_ < credit_; }
  void SendOrKeep(Written written) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Compresses what becomes smaller by it and what the session's server takes.
  void SendNow(const Written& written) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes the first message, and grants the server credit for others.
  Inbound TakeInbound() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GrantCredit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Sends the server what was granted and it was not told yet; false: there is none.
  bool SendCredit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends the call because of what the program or the peer did.
  void FailAttempt(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Parse(Inbound inbound, google::protobuf::MessageLite* message) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // SendCredit(), and flushes it.
  void TellCredit() ABSL_LOCKS_EXCLUDED(mu_);
  void FlushSession() ABSL_LOCKS_EXCLUDED(mu_);

  // It will not be sent again.
  void DropReplay() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Asynchronous: has what there is to tell told, one end after the other.
  void Schedule() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool PumpOne() ABSL_LOCKS_EXCLUDED(mu_);
  void TellEnd() ABSL_LOCKS_EXCLUDED(mu_);

  const CallResources* const resources_;
  const MethodInfo* const method_;
  ClientContext* const context_;
  const CallSettings settings_;
  // The caller's; of a blocking call a copy, which may have to be sent again when the caller's is
  // gone. Constant once it has begun.
  const google::protobuf::MessageLite* request_;
  google::protobuf::MessageLite* const reply_;
  size_t request_size_ = 0;
  bool hooked_ = false;  // into the context's TryCancel()

  CallLimit* limit_ = nullptr;
  metrics::CallCounter counter_;  // constant once it has begun
  bool async_ = false;            // constant once it has begun
  ClientReactor* reactor_ = nullptr;
  std::function<void(absl::Status)> callback_;
  std::shared_ptr<void> keep_;        // the channel, usually
  std::shared_ptr<StreamCall> self_;  // while it is asynchronous and has not ended

  mutable absl::Mutex mu_;
  absl::CondVar changed_;  // state_, for blocking calls
  State state_ ABSL_GUARDED_BY(mu_) = State::kIdle;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<ClientSession> session_ ABSL_GUARDED_BY(mu_);
  ClientCall* attempt_ ABSL_GUARDED_BY(mu_) = nullptr;
  // They live as long as this.
  std::optional<ClientCall> first_attempt_ ABSL_GUARDED_BY(mu_);
  std::list<ClientCall> later_attempts_ ABSL_GUARDED_BY(mu_);
  bool initial_ ABSL_GUARDED_BY(mu_) = false;
  std::list<Inbound> inbound_ ABSL_GUARDED_BY(mu_);
  uint64_t received_ ABSL_GUARDED_BY(mu_) = 0;  // as credit counts
  uint64_t taken_ ABSL_GUARDED_BY(mu_) = 0;     // of that, by the program
  uint64_t granted_ ABSL_GUARDED_BY(mu_) = 0;   // to the server
  uint64_t told_ ABSL_GUARDED_BY(mu_) = 0;      // of that, to the server
  uint64_t sent_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t credit_ ABSL_GUARDED_BY(mu_) = 0;
  bool half_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool dropping_ ABSL_GUARDED_BY(mu_) = false;  // nobody will read
  std::list<Written> replay_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<google::protobuf::MessageLite> own_request_ ABSL_GUARDED_BY(mu_);
  bool replayable_ ABSL_GUARDED_BY(mu_) = true;

  // Asynchronous.
  uint64_t wait_ ABSL_GUARDED_BY(mu_) = 0;          // in the pool; 0: none
  bool has_deadline_ ABSL_GUARDED_BY(mu_) = false;  // in resources_->deadlines
  bool scheduled_ ABSL_GUARDED_BY(mu_) = false;
  bool initial_told_ ABSL_GUARDED_BY(mu_) = false;
  google::protobuf::MessageLite* reading_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  Written write_ ABSL_GUARDED_BY(mu_);
  bool write_last_ ABSL_GUARDED_BY(mu_) = false;
  bool write_failed_ ABSL_GUARDED_BY(mu_) = false;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  int holds_ ABSL_GUARDED_BY(mu_) = 0;
  int at_work_ ABSL_GUARDED_BY(mu_) = 0;  // AtWork
  bool end_told_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_STREAM_CALL_H_
