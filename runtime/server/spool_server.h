// A server on one spool: its directory, its sessions, and the thread that looks after them.
#ifndef SPOOLRPC_SERVER_SPOOL_SERVER_H_
#define SPOOLRPC_SERVER_SPOOL_SERVER_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "spoolrpc/link/io_threads.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/server/auth_policy.h"
#include "spoolrpc/server/dispatcher.h"
#include "spoolrpc/server/durable_calls.h"
#include "spoolrpc/server/failure_log.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/server/server_log.h"
#include "spoolrpc/server/server_session.h"
#include "spoolrpc/server/stop_signal.h"
#include "spoolrpc/spool/collector.h"
#include "spoolrpc/spool/exclusive.h"
#include "spoolrpc/spool/server_directory.h"
#include "spoolrpc/spool/server_lease.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::server {

struct SpoolServerOptions {
  os::Environment env;
  // What the environment needs, and may be null: messages that a handler keeps may outlive the
  // server.
  std::shared_ptr<const void> keep_alive;
  std::string path;
  spool::Transport transport = spool::Transport::kAuto;
  const MethodTable* methods = nullptr;
  ServerLog* log = nullptr;
  int workers = 2;
  size_t max_queued = 10000;
  // Where failures of handlers are kept. Must outlive the server.
  FailureLog* failures = nullptr;
  size_t max_request_size = 0;
  size_t max_reply_size = 0;
  size_t bulk_threshold = 0;
  wait::PollInterval poll_interval;
  os::Nanos spin = 0;
  os::Nanos term = 0;
  uint64_t log_capacity = 0;
  Compression compression = Compression::kDefault;
  int max_streams = 1000;
  bool discard_pending = false;
  spool::ExclusiveMode exclusive = spool::ExclusiveMode::kShared;
  absl::Duration grace;  // what other servers get, with ExclusiveMode::kForce
  // Null: nothing is counted. Its methods are those that `methods` counts in.
  metrics::Registry* metrics = nullptr;
  std::optional<spool::RetentionRecord> retention;
  spool::SpoolAccess access;
  AuthPolicy policy;
  // Until when what runs may go on once the server drains; told of requests to stop that are found
  // in the inbox. Must outlive the server.
  StopSignal* stop = nullptr;
};

// Thread-safe.
class SpoolServer final : public SessionHost {
 public:
  static absl::StatusOr<std::unique_ptr<SpoolServer>> Start(const SpoolServerOptions& options);
  // Drain() must have been called.
  ~SpoolServer() override;

  // Stops taking calls, returns those that have not started, waits for those that run until the
  // deadline of options.stop (which may be brought forward meanwhile), cancels what is left and
  // waits for it, ends the sessions, and removes the directory.
  void Drain();

  const std::string& directory() const { return directory_->path(); }
  const std::string& root() const { return spool_->root(); }
  // Set when the server had to step down by itself; stepped_down_status() then says why.
  absl::Notification& stepped_down() { return stepped_down_; }
  absl::Status stepped_down_status() const ABSL_LOCKS_EXCLUDED(mu_);

  // SessionHost.
  void Dispatch(std::vector<std::shared_ptr<ServerCall>> calls, bool inline_allowed) override;
  void OnSessionEnded(ServerSession* session, bool client_gone) override;
  void RenewLeaseOf(const std::shared_ptr<ServerSession>& session) override
      ABSL_LOCKS_EXCLUDED(renewed_mu_);
  void LookSoon(const std::vector<ServerSession*>& sessions) override;
  os::Nanos bell_looked_at() const override { return dispatcher_->bell_looked_at(); }
  bool draining() const override { return draining_.load(std::memory_order_acquire); }
  bool MayExecute(os::Nanos now) const override;
  void RunReaction(std::function<void()> reaction) override;
  AfterReply* after_reply() override { return dispatcher_->after_reply(); }
  exec::TimerQueue* timers() override { return &timers_; }
  Compression compression() const override { return options_.compression; }
  void Warn(const std::string& message) override;
  void OnHandlerFailed(const absl::Status& failure) override;
  void OnBatch(const MethodEntry& method, int size) override;

 private:
  explicit SpoolServer(const SpoolServerOptions& options);
  absl::Status Begin();
  // Publishes the directory, if the spool is not another server's.
  absl::Status Publish(spool::ServerRecord record);
  // How many durable calls are claimed at once.
  int DurableRoom() const;
  int OnRung(uint32_t slot, log::AlignedBuffer* buffer) ABSL_LOCKS_EXCLUDED(mu_);
  void Wake();
  // Waits until nothing runs any more; false: the deadline has passed.
  bool AwaitIdle();

  // Now, and from then on by `timer`.
  void RenewSessionLeases(exec::TimerQueue* timer) ABSL_LOCKS_EXCLUDED(renewed_mu_);

  // What follows belongs to the housekeeper's thread.
  void Housekeep();
  void HousekeepOnce();
  void LookIntoInbox() ABSL_LOCKS_EXCLUDED(mu_);
  void TakeStop(uint32_t number);
  void Accept(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  void RenewLease() ABSL_LOCKS_EXCLUDED(mu_);
  // Between two pieces of any work that may take long: the server's lease does not wait for it.
  void RenewLeaseIfDue() ABSL_LOCKS_EXCLUDED(mu_);
  void RemoveEnded(os::Nanos now) ABSL_LOCKS_EXCLUDED(mu_);
  void Bury(const std::shared_ptr<ServerSession>& session) ABSL_LOCKS_EXCLUDED(mu_);
  void EmptyGraves(bool all);
  // True if there was something to collect, or may be soon.
  bool Collect() ABSL_LOCKS_EXCLUDED(mu_);
  void StepDown(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  void SleepUntil(os::Nanos when);
  std::vector<std::shared_ptr<ServerSession>> Sessions() ABSL_LOCKS_EXCLUDED(mu_);

  const SpoolServerOptions options_;
  const os::Environment env_;
  std::shared_ptr<const spool::Spool> spool_;
  std::unique_ptr<spool::ServerDirectory> directory_;
  // After it has said that the spool may be served, the housekeeper's.
  std::unique_ptr<spool::ExclusiveHold> hold_;
  spool::ServerLease lease_;
  std::unique_ptr<link::FlusherThreads> flushers_;
  std::unique_ptr<link::PollerThreads> pollers_;
  exec::TimerQueue timers_;
  // A thread that does nothing else: a call's caller waits for these leases, and must not have to
  // wait for the housekeeper's files, of which each may be slow.
  std::unique_ptr<exec::TimerQueue> session_leases_;
  // Before the dispatcher, whose calls refer to it.
  std::unique_ptr<DurableCalls> durable_;
  std::unique_ptr<Dispatcher> dispatcher_;
  os::Nanos started_ = 0;

  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> inbox_rung_{false};
  std::atomic<bool> durable_rung_{false};
  std::atomic<bool> some_ended_{false};  // since the last RemoveEnded()
  absl::Notification stepped_down_;

  // Held while one session is accepted: whoever has set draining_ and then had it knows that no
  // other is.
  absl::Mutex accept_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  mutable absl::Mutex mu_;
  // (Not a hash map whose order differs from one run to the next: simulations go by it.)
  std::unordered_map<std::string, std::shared_ptr<ServerSession>> sessions_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<ServerSession>> slots_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> free_slots_ ABSL_GUARDED_BY(mu_);
  absl::Status stepped_down_status_ ABSL_GUARDED_BY(mu_);

  absl::Mutex renewed_mu_;
  // Sessions whose lease is renewed, since calls are open; and those to which that happened since
  // the last time that it was done.
  std::vector<std::weak_ptr<ServerSession>> renewed_ ABSL_GUARDED_BY(renewed_mu_);
  std::vector<std::weak_ptr<ServerSession>> to_renew_ ABSL_GUARDED_BY(renewed_mu_);

  // The housekeeper's own.
  std::thread housekeeper_;
  int wake_fd_ = -1;
  int epoll_fd_ = -1;
  std::unique_ptr<log::AlignedBuffer> buffer_;
  std::unique_ptr<spool::Collector> collector_;
  std::map<std::string, int> pidfds_;                 // session id -> descriptor
  std::map<std::string, os::Nanos> ended_since_;      // session id -> when it was first seen ended
  std::map<std::string, os::Nanos> forget_verdicts_;  // session id -> when
  // Sessions whose files are to be removed once nobody has them open.
  std::map<std::string, std::weak_ptr<ServerSession>> graves_;
  std::map<std::string, os::Nanos> touches_;  // directory -> when
  std::set<uint32_t> stops_seen_;             // requests to stop that are in the inbox
  bool doorbell_lost_ = false;                // and that was said
  os::Nanos next_inbox_ = 0;
  os::Nanos last_arrival_ = 0;
  os::Nanos next_lease_ = 0;
  os::Nanos next_collection_ = 0;
  os::Nanos collection_interval_ = 0;
  // When the graves are looked at next, and how long after the look before.
  os::Nanos next_graves_ = 0;
  os::Nanos graves_interval_ = 0;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_SPOOL_SERVER_H_
