// One conversation with one server: calls over a link.
#ifndef SPOOLRPC_CLIENT_CLIENT_SESSION_H_
#define SPOOLRPC_CLIENT_CLIENT_SESSION_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/client/callback_batch.h"
#include "spoolrpc/client/client_call.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/exec/overdue_watch.h"
#include "spoolrpc/link/bytes.h"
#include "spoolrpc/link/flush_scope.h"
#include "spoolrpc/link/io_threads.h"
#include "spoolrpc/link/session_link.h"
#include "spoolrpc/spool/session_directory.h"
#include "spoolrpc/wait/spin_policy.h"

namespace spoolrpc::client {

struct ClientSessionOptions {
  os::Environment env;
  std::shared_ptr<const spool::Spool> spool;
  spool::ServerEntry server;
  std::unique_ptr<spool::SessionDirectory> directory;  // published and accepted
  std::unique_ptr<wait::Doorbell> own_bell;            // null: polls
  std::unique_ptr<log::LogWriter> writer;
  std::unique_ptr<log::LogReader> reader;
  std::shared_ptr<wait::Doorbell> server_bell;
  uint32_t server_slot = 0;
  uint64_t max_request_size = 0;
  // Of bulk buffers, and what this side sends and takes, in bytes (link/same_host.h).
  std::shared_ptr<const void> keep_alive;
  size_t bulk_threshold = 0;
  uint64_t max_send_size = 0;
  uint64_t max_reply_size = 0;
  wait::PollInterval poll_interval;
  os::Nanos spin = 0;
  os::Nanos term = 0;
  // On a network file system: who writes, and who polls. Both must outlive the session, which keeps
  // neither.
  link::Flusher* flusher = nullptr;
  std::shared_ptr<link::PollerThreads> pollers;
};

// Thread-safe. On a local file system the caller that waits reads the log for itself and for all
// others that wait (one of them at a time); on a network file system an I/O thread does.
class ClientSession final : public link::Pollable,
                            public link::Flushable,
                            public std::enable_shared_from_this<ClientSession> {
 public:
  // It is destroyed where its last reference goes, or by the reaper if that might be in a callback.
  // `on_destroyed` is called when that has happened.
  static std::shared_ptr<ClientSession> Make(ClientSessionOptions options,
                                             std::function<void()> on_destroyed);
  // True in callbacks that a session's own thread runs.
  static bool InCallback();

  const spool::ServerEntry& server() const { return server_; }
  // Whether the server takes messages that are compressed so.
  bool Takes(Compression compression) const { return compression == Compression::kZstd && zstd_; }
  // False once the session has ended.
  bool usable() const { return !closed_.load(std::memory_order_acquire); }
  // False once it takes no more calls: it has ended, or its server drains.
  bool takes_calls() const { return usable() && !draining_.load(std::memory_order_acquire); }
  const std::string& peer() const { return *peer_; }
  int open_calls() const { return open_.load(std::memory_order_relaxed); }

  // Sends the call and waits until it has ended; `call` says how. Blocks until its deadline at
  // most.
  void Run(ClientCall* call) ABSL_LOCKS_EXCLUDED(mu_);

  // Memory for a request that is sent on this session, of a bulk buffer if possible.
  MutableBytes AllocateRequest(size_t size);

  // --- Calls with an observer.

  // Sends the call. False: it is not on the session, and `call` says why.
  bool Begin(ClientCall* call) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until `call->version` is no longer `seen`, or the call has ended.
  void Await(ClientCall* call, uint32_t seen) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the call if it was cancelled, or its time is up.
  void GiveUpIfDue(ClientCall* call) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends a call whose messages break a rule.
  void Fail(ClientCall* call, absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  // Adds a MESSAGE, HALF_CLOSE or CREDIT of the call. Goes out with Flush(). Takes no lock of the
  // session's.
  void SendMessage(const ClientCall& call, uint8_t flags, absl::string_view bytes);
  void SendHalfClose(const ClientCall& call);
  void SendCredit(const ClientCall& call, uint64_t total);
  void Flush() ABSL_LOCKS_EXCLUDED(mu_);
  void FlushNow() override ABSL_LOCKS_EXCLUDED(mu_);
  // Parses a reply that came in several frames, once the call has ended.
  void ParseReply(ClientCall* call);

  // What is to be done from time to time: renewing the lease, looking at a log that nobody reads.
  // Returns when to come again. For one thread; may touch files.
  os::Nanos Housekeep(log::AlignedBuffer* buffer) ABSL_LOCKS_EXCLUDED(mu_);
  // The kernel says that the server's process is gone: takes what it still wrote, and ends the
  // rest.
  void OnServerDead(log::AlignedBuffer* buffer) ABSL_LOCKS_EXCLUDED(mu_);
  // Says goodbye. No calls may be open.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);
  // The client's half, for whoever removes it once this object is gone: NFS keeps the name of a
  // file that its own host has open.
  std::unique_ptr<spool::SessionDirectory> TakeDirectory() { return std::move(directory_); }

  // link::Pollable, for network file systems.
  os::Nanos Look(log::AlignedBuffer* buffer) override;

 private:
  // A thread that reads the log while calls are open that nobody waits for, and runs their
  // callbacks.
  struct Reader {
    std::thread thread;
    std::shared_ptr<CallbackBatch> batch;  // that it runs
    bool stuck = false;                    // in a callback: another reader has taken its place
    bool done = false;                     // the thread needs nothing any more
  };

  explicit ClientSession(ClientSessionOptions options);
  ~ClientSession() override;

  bool network() const { return pollers_ != nullptr; }
  bool Start(ClientCall* call) ABSL_LOCKS_EXCLUDED(mu_);
  // Until the call is done, or its version is not `seen`.
  void Wait(ClientCall* call, uint32_t seen) ABSL_LOCKS_EXCLUDED(mu_);
  // Sleeps until the call may be done or its version not `seen`, another caller shall read, or for
  // `most`.
  void Sleep(ClientCall* call, uint32_t seen, os::Nanos most) ABSL_LOCKS_EXCLUDED(mu_);
  // Who waits for the call shall look at it again.
  static void WakeSleepers(ClientCall* call);
  // Takes one, or all of an ended call's, out of the lists.
  void Unlist(Sleeper* sleeper) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DismissSleepers(ClientCall* call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reads the log until Wait() has an end or its time is up; the caller has TryBeginPoll().
  void Lead(ClientCall* call, uint32_t seen) ABSL_LOCKS_EXCLUDED(mu_);
  // Sleeps or spins until something may have come. `call` may be null.
  void Doze(ClientCall* call, uint32_t seen, os::Nanos until);
  void StartReader() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Of those that were stuck and have ended.
  void JoinFormerReaders() ABSL_LOCKS_EXCLUDED(mu_);
  void Read(Reader* reader) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until there is something to read for; false: the reader is to end.
  bool AwaitAsyncCalls() ABSL_LOCKS_EXCLUDED(mu_);
  // Runs callbacks on the reader's thread; false: it is not the reader any more.
  bool RunHere(Reader* reader, exec::OverdueWatch::Work* work,
               std::vector<std::shared_ptr<CallbackSource>> sources) ABSL_LOCKS_EXCLUDED(mu_);
  // For the watch: a callback takes long.
  void OnStuck(Reader* reader) ABSL_LOCKS_EXCLUDED(mu_);
  // From here on ClientContext::TryCancel() wakes whoever waits for the call; before it sleeps.
  void LetCancelWake(ClientCall* call) ABSL_LOCKS_EXCLUDED(mu_);
  // The next waiting call reads from here on.
  void HandOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GiveUp(ClientCall* call, os::Nanos now) ABSL_LOCKS_EXCLUDED(mu_);
  // Another thread than the one that waits for it has ended a call: that one may be the one that
  // reads, which sleeps until it is rung for.
  void WakeReader();
  void Finish(ClientCall* call, absl::Status status, bool resend)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Status OnFrame(const log::Frame& frame) ABSL_LOCKS_EXCLUDED(mu_);
  void OnReply(ClientCall* call, const log::Frame& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A MESSAGE or INITIAL, or the DATA that continues one.
  void OnPart(ClientCall* call, const log::Frame& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnWhole(ClientCall* call, log::FrameType type, bool compressed, std::string bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnCredit(ClientCall* call, const log::Frame& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetAcknowledged(ClientCall* call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends the call with an error, and tells the server.
  void Break(ClientCall* call, absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Sets the call's status, reply and metadata from a whole reply payload. The call must be the
  // caller's own: still open and under the lock, or ended.
  void TakeReply(ClientCall* call, absl::string_view payload);
  absl::Status ParseReplyMessage(ClientCall* call, absl::string_view bytes);

  // --- Messages in bulk buffers (client_session_bulk.cc).
  void SetUpSameHost(const ClientSessionOptions& options, link::LinkOptions* link) const;
  // A REPLY whose message lies in a bulk buffer.
  absl::Status OnBulkReply(ClientCall* call, const log::Frame& frame)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Sets the call's reply from its bulk buffer, after its header.
  absl::Status ParseBulkReply(ClientCall* call) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status OnGoodbye(const log::Frame& frame) ABSL_LOCKS_EXCLUDED(mu_);
  // One poll, and what follows from how it ended. What there is to tell then is told by threads of
  // the runtime, or left in `callbacks`.
  int PollOnce(bool force, log::AlignedBuffer* buffer,
               std::vector<std::shared_ptr<CallbackSource>>* callbacks = nullptr)
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnPolled(const link::PollResult& result) ABSL_LOCKS_EXCLUDED(mu_);
  // The number that stands for a method on this session, and whether a CALL that says so is in the
  // log. Until one is, each says it.
  struct MethodId {
    uint32_t id;
    bool told;
  };
  // How much is known of what the server took, when a session is lost.
  struct Knowledge {
    // The server took nothing from this position of the request log on, if that is known.
    std::optional<uint64_t> read_position;
    // The response log was read to its end after the server had ended: a call that is not
    // acknowledged there never will be.
    bool read_to_end = false;
    // Only for calls of this watch of the server (SessionLink::watches()), if it is a lease's end
    // that is known: whoever began later, while nobody waited any more, was not yet watched for.
    std::optional<uint64_t> watch = std::nullopt;
  };
  // Ends the session and every call on it.
  void Lose(ErrorInfo::Reason reason, const absl::Status& why, const Knowledge& knowledge)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The server's process has ended: reads what it still wrote. True if that was all that it had
  // written.
  bool ReadLastWords(log::AlignedBuffer* buffer) ABSL_LOCKS_EXCLUDED(mu_);

  const os::Environment env_;
  const std::shared_ptr<const spool::Spool> spool_;
  const spool::ServerEntry server_;
  std::unique_ptr<spool::SessionDirectory> directory_;
  const std::shared_ptr<const std::string> peer_;
  const uint64_t max_request_size_;
  const bool zstd_;
  const os::Nanos term_;
  link::PollerThreads* const pollers_;
  const std::unique_ptr<wait::Doorbell> own_bell_;  // of a file, or in memory
  std::shared_ptr<link::SessionLink> link_;
  wait::SpinPolicy spin_;
  wait::PollSchedule schedule_;  // of whoever polls
  // A call was sent, so an answer may come soon however long nothing came. Shared with the link,
  // which may outlive the session.
  const std::shared_ptr<std::atomic<bool>> expecting_ = std::make_shared<std::atomic<bool>>(false);

  std::atomic<bool> closed_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> server_dead_{false};
  std::atomic<int> open_{0};

  absl::Mutex mu_;
  uint64_t next_call_ ABSL_GUARDED_BY(mu_) = 1;
  absl::flat_hash_map<uint64_t, ClientCall*> calls_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<const char*, MethodId> method_ids_ ABSL_GUARDED_BY(mu_);
  // Callers that sleep while another one reads, the longest first.
  std::list<Sleeper*> sleeping_ ABSL_GUARDED_BY(mu_);
  // On a local file system: calls that nobody waits for, and the threads that have read for them,
  // of which the last one does.
  int async_open_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::CondVar async_changed_;
  std::list<Reader> readers_ ABSL_GUARDED_BY(mu_);
  // A callback took long: until then they run elsewhere.
  os::Nanos slow_until_ ABSL_GUARDED_BY(mu_) = 0;
  std::atomic<int> in_callbacks_{0};  // readers that are
  // For the caller that leads.
  std::unique_ptr<log::AlignedBuffer> buffer_;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_CLIENT_SESSION_H_
