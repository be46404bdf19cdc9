// One client's conversation, on the server's side.
#ifndef SPOOLRPC_SERVER_SERVER_SESSION_H_
#define SPOOLRPC_SERVER_SERVER_SESSION_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/link/io_threads.h"
#include "spoolrpc/link/session_link.h"
#include "spoolrpc/rpc/reassembly.h"
#include "spoolrpc/server/after_reply.h"
#include "spoolrpc/server/call_session.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/server/server_call.h"
#include "spoolrpc/spool/server_directory.h"

namespace spoolrpc::server {

class ServerSession;

// What a session asks of its server.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  // Calls that were read and may start, in order. `inline_allowed`: the thread may run handlers.
  virtual void Dispatch(std::vector<std::shared_ptr<ServerCall>> calls, bool inline_allowed) = 0;
  // The session has ended and wants to be removed. May be called under the session's poll.
  virtual void OnSessionEnded(ServerSession* session, bool client_gone) = 0;
  // The session's lease is to be renewed by RenewLease() until that returns false. May be called
  // under the session's lock.
  virtual void RenewLeaseOf(const std::shared_ptr<ServerSession>& session) = 0;
  // The session wants its poller to look at it soon.
  virtual void LookSoon(const std::vector<ServerSession*>& sessions) = 0;
  // Whatever sessions had rung for before this time has been read, or they were told; 0: nobody
  // knows.
  virtual os::Nanos bell_looked_at() const = 0;
  virtual bool draining() const = 0;
  // False while it is not certain that the server still has the spool for itself, if it asked for
  // that.
  virtual bool MayExecute(os::Nanos now) const = 0;
  // Runs what a reactor is told, or another callback, on a thread of the server.
  virtual void RunReaction(std::function<void()> reaction) = 0;
  virtual AfterReply* after_reply() = 0;
  virtual exec::TimerQueue* timers() = 0;
  // What messages are sent as, where neither method nor handler says so.
  virtual Compression compression() const = 0;
  virtual void Warn(const std::string& message) = 0;
  // A handler, or work after a reply, has thrown.
  virtual void OnHandlerFailed(const absl::Status& failure) = 0;
  // A batch of `size` calls goes to its handler; on the thread that runs it.
  virtual void OnBatch(const MethodEntry& method, int size) = 0;
};

struct ServerSessionOptions {
  os::Environment env;
  SessionHost* host = nullptr;
  const MethodTable* methods = nullptr;
  std::unique_ptr<spool::AcceptedSession> accepted;
  std::string spool_path;
  wait::Doorbell* own_bell = nullptr;
  uint32_t slot = 0;
  link::Flusher* flusher = nullptr;
  wait::PollInterval poll_interval;
  os::Nanos term = 0;
  size_t max_request_size = 0;
  size_t max_reply_size = 0;
  // Of bulk buffers (link/same_host.h).
  std::shared_ptr<const void> keep_alive;
  size_t bulk_threshold = 0;
  uint32_t file_mode = 0600;
  bool network = false;
  bool discard_pending = false;
  os::Nanos server_started = 0;
};

// Thread-safe. Polled by the thread that the doorbell woke and by a poller thread, one at a time.
class ServerSession final : public link::Pollable,
                            public CallSession,
                            public std::enable_shared_from_this<ServerSession> {
 public:
  explicit ServerSession(ServerSessionOptions options);
  ~ServerSession() override;

  const std::string& id() const { return id_; }
  uint32_t slot() const { return slot_; }
  const os::ProcessId& client() const { return client_; }
  const std::string& peer() const { return *peer_.name; }
  SessionHost* host() const override { return host_; }
  const os::Clock* clock() const override { return env_.clock; }
  size_t max_request_size() const override { return max_request_size_; }
  size_t max_reply_size() const override { return max_reply_size_; }
  bool Takes(Compression compression) const override {
    return compression == Compression::kZstd && zstd_;
  }
  bool ended() const { return ended_.load(std::memory_order_acquire); }
  // The client told, in its head, that it reads no more.
  bool client_closed() const { return client_closed_.load(std::memory_order_acquire); }

  // Rung: takes what came and dispatches it. Returns the number of frames.
  int OnRung(log::AlignedBuffer* buffer) ABSL_LOCKS_EXCLUDED(mu_);
  // link::Pollable: a look at a file that nobody may ring for.
  os::Nanos Look(log::AlignedBuffer* buffer) override ABSL_LOCKS_EXCLUDED(mu_);

  // How many messages in bulk buffers the client has not released.
  size_t lent() const { return link_->bulk_lent(); }

  // --- CallSession.
  Start PrepareCall(const std::shared_ptr<ServerCall>& call) override ABSL_LOCKS_EXCLUDED(mu_);
  Start CheckCall(const std::shared_ptr<ServerCall>& call) override ABSL_LOCKS_EXCLUDED(mu_);
  MutableBytes AllocateReply(size_t size) override;
  void EndCall(const std::shared_ptr<ServerCall>& call) override ABSL_LOCKS_EXCLUDED(mu_);
  void SendPart(ServerCall* call, log::FrameType type, uint8_t flags,
                absl::string_view bytes) override ABSL_LOCKS_EXCLUDED(mu_);
  void SendCredit(uint64_t call, uint64_t total) override ABSL_LOCKS_EXCLUDED(mu_);
  void RejectCall(const std::shared_ptr<ServerCall>& call, wire::NotStarted why,
                  const absl::Status& status) override ABSL_LOCKS_EXCLUDED(mu_);
  void Acknowledge(const std::shared_ptr<ServerCall>& call) override ABSL_LOCKS_EXCLUDED(mu_);
  void Flush() override;
  void FlushNow() override;

  // Renews the lease if it is time. False: no call is open, so that nobody watches it, and the next
  // one that is opened asks the host anew.
  bool RenewLease(os::Nanos now) ABSL_LOCKS_EXCLUDED(mu_);
  // Tells the client that the server drains.
  void Drain();
  // The kernel will say when the client is gone: there is little reason to read its files for it.
  void OnClientWatched() { client_watched_.store(true, std::memory_order_relaxed); }
  // The kernel says that the client is gone.
  void OnClientDead() ABSL_LOCKS_EXCLUDED(mu_);
  // Says goodbye, cancels what is open; nothing more is taken.
  void End(wire::Goodbye::Cause cause, const std::string& detail, bool client_gone)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Ended, and not to be looked at any more.
  void Retire() { retired_.store(true, std::memory_order_release); }
  // Replies wait for the client to make room.
  bool backlogged() const { return !ended() && link_->backlogged(); }
  int open_calls() const { return open_.load(std::memory_order_relaxed); }
  void CancelAll() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Partial {
    std::shared_ptr<ServerCall> call;
    std::unique_ptr<rpc::Reassembly> bytes;
    bool compressed = false;
  };

  int PollOnce(bool force, bool inline_allowed, log::AlignedBuffer* buffer)
      ABSL_LOCKS_EXCLUDED(mu_);
  // When the last look began, this session's or the doorbell's, that would have found what the
  // client had sent by then.
  os::Nanos last_look() const;
  absl::Status OnFrame(const log::Frame& frame) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status OnCall(const log::Frame& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status OnData(const log::Frame& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A MESSAGE, or the DATA that continues one.
  absl::Status OnStreamPart(ServerCall* call, const log::Frame& frame)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnCredit(const log::Frame& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnCancel(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Admit(std::shared_ptr<ServerCall> call, absl::string_view request, bool compressed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // --- Messages in bulk buffers (server_session_bulk.cc).
  void SetUpSameHost(const ServerSessionOptions& options, link::LinkOptions* link) const;
  // A CALL whose message lies in a bulk buffer, which is neither looked at nor parsed before the
  // call is about to start.
  void AdmitBulk(std::shared_ptr<ServerCall> call, std::shared_ptr<link::IncomingBulk> request,
                 bool compressed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A request lay in a damaged bulk buffer: the session is over.
  void OnDamage(const absl::Status& damage) ABSL_LOCKS_EXCLUDED(mu_);
  // Does that. kRun: go on.
  Start ReadBulkRequest(const std::shared_ptr<ServerCall>& call) ABSL_LOCKS_EXCLUDED(mu_);

  // Answers a call that gets no ServerCall, of a method that the server has.
  void Refuse(uint64_t id, const MethodEntry& method, const absl::Status& status,
              wire::NotStarted not_started, int32_t reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Answers a call that has no ServerCall, or that was closed.
  void Answer(uint64_t id, const absl::Status& status, wire::NotStarted not_started, int32_t reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Open(uint64_t id, const std::shared_ptr<ServerCall>& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Until nothing is open and nothing waits for room.
  void HaveLeaseRenewed();
  // The call ends, with this code. False: it was closed before.
  bool Close(ServerCall* call, absl::StatusCode code) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Unless it was counted before.
  void CountEnd(ServerCall* call, absl::StatusCode code) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Start Drop(const std::shared_ptr<ServerCall>& call) ABSL_LOCKS_EXCLUDED(mu_);
  // docs/protocol.md, section 4: after a gap or a lapse of the own lease the session is in doubt,
  // and calls are held until the client is known to wait for them still.
  void CheckGap(os::Nanos now) ABSL_LOCKS_EXCLUDED(mu_);
  void Doubt() ABSL_LOCKS_EXCLUDED(mu_);
  void ResolveDoubt(log::AlignedBuffer* buffer, std::vector<std::shared_ptr<ServerCall>>* ready)
      ABSL_LOCKS_EXCLUDED(mu_);

  const os::Environment env_;
  SessionHost* const host_;
  const MethodTable* const methods_;
  const std::string id_;
  const os::ProcessId client_;
  const Peer peer_;
  const uint32_t slot_;
  const os::Nanos term_;
  const os::Nanos client_term_;
  const bool zstd_;
  const size_t max_request_size_;
  const size_t max_reply_size_;
  // So much may wait for the client to read it: what is more is not executed. A client that goes on
  // all the same when twice as much waits is given up.
  const uint64_t max_unread_;
  const bool discard_pending_;
  const os::Nanos server_started_;
  std::shared_ptr<link::SessionLink> link_;
  wait::PollSchedule schedule_;  // of whoever polls
  // Of whoever polls: since when the client's lease counter has stood still.
  uint64_t idle_counter_ = 0;
  // The client's counter when the doubt's renewal had come back; 0: not yet read.
  std::atomic<uint64_t> doubt_counter_{0};
  std::atomic<os::Nanos> doubt_renewed_{0};
  os::Nanos idle_since_ = 0;

  std::atomic<bool> ended_{false};
  std::atomic<bool> client_closed_{false};
  std::atomic<bool> retired_{false};
  std::atomic<bool> client_watched_{false};
  std::atomic<int> open_{0};
  // The host renews the lease: set by whoever opens a call, cleared when none is open.
  std::atomic<bool> renewing_{false};
  std::atomic<bool> in_doubt_{false};
  // The doorbell told of frames while another thread polled, which may have read before they came.
  std::atomic<bool> missed_ring_{true};  // (before there was this object)

  absl::Mutex mu_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<ServerCall>> calls_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint64_t, Partial> partial_ ABSL_GUARDED_BY(mu_);
  uint64_t partial_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  struct NamedMethod {
    std::string name;
    MethodEntry* entry;  // null: the server has none of that name
  };
  absl::flat_hash_map<uint32_t, NamedMethod> named_methods_ ABSL_GUARDED_BY(mu_);
  uint64_t last_call_ ABSL_GUARDED_BY(mu_) = 0;
  // Frames of the request log before it have been taken.
  uint64_t read_position_ ABSL_GUARDED_BY(mu_) = 0;
  // Read, and to be dispatched when the poll is over.
  std::vector<std::shared_ptr<ServerCall>> ready_ ABSL_GUARDED_BY(mu_);
  // Held back while the session is in doubt.
  std::vector<std::shared_ptr<ServerCall>> held_ ABSL_GUARDED_BY(mu_);
  os::Nanos look_before_ ABSL_GUARDED_BY(mu_) = 0;
  bool answers_ ABSL_GUARDED_BY(mu_) = false;  // Answer() has sent something
  bool goodbye_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_SERVER_SESSION_H_
