// The durable calls of a spool, as one server sees them: finds them, claims those that it can run,
// and sees to those whose owners are gone (docs/protocol.md, section 10).
#ifndef SPOOLRPC_SERVER_DURABLE_CALLS_H_
#define SPOOLRPC_SERVER_DURABLE_CALLS_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/server/auth_policy.h"
#include "spoolrpc/server/durable_call.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/server/server_session.h"
#include "spoolrpc/spool/durable_retention.h"
#include "spoolrpc/spool/durable_store.h"
#include "spoolrpc/spool/owner_watch.h"
#include "spoolrpc/spool/server_lease.h"
#include "spoolrpc/wait/poll_schedule.h"

namespace spoolrpc::server {

struct DurableCallsOptions {
  os::Environment env;
  std::shared_ptr<const spool::Spool> spool;
  std::string server_id;
  const MethodTable* methods = nullptr;
  SessionHost* host = nullptr;
  // Whose calls are taken. Null: everybody's.
  const AuthPolicy* policy = nullptr;
  // Must outlive it, as the policy must.
  const spool::ServerLease* lease = nullptr;
  // Set on the spool by this server when it starts.
  std::optional<spool::RetentionRecord> retention;
  // So many calls are claimed at once, whether they run or wait for a worker.
  int room = 4;
  size_t max_request_size = 0;
  size_t max_reply_size = 0;
  wait::PollInterval poll_interval;
};

// Thread-safe. A thread of its own does the file operations, so that leases do not wait for them.
class DurableCalls final : public DurableCallOwner {
 public:
  explicit DurableCalls(DurableCallsOptions options);
  // Stop() must have been called, and no handler may run.
  ~DurableCalls() override;

  void Start();
  // There may be something new.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);
  // When it returns nothing is claimed or dispatched any more; what runs is still looked after.
  void StopTaking() ABSL_LOCKS_EXCLUDED(taking_mu_);
  void CancelAll() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until all replies are published; false if `deadline` comes first.
  bool AwaitReplies(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_);
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // DurableCallOwner.
  const spool::DurableStore& store() const override { return store_; }
  const spool::ServerLease& lease() const override { return *options_.lease; }
  const std::string& server_id() const override { return options_.server_id; }
  SessionHost* host() const override { return options_.host; }
  const os::Environment& env() const override { return options_.env; }
  size_t max_request_size() const override { return options_.max_request_size; }
  size_t max_reply_size() const override { return options_.max_reply_size; }
  void OnEnded(const std::string& ticket, End end, os::Nanos delay) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void KeepReply(spool::DurableReplyRecord record, std::string body, bool power_loss) override
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // What is known of a call.
  struct Known {
    enum class State {
      kOpen,     // to be looked at from `next_look` on
      kOurs,     // claimed by this server
      kNotOurs,  // of a method that this server does not offer, or of a newer version
      kDone,     // has a reply
    };
    State state = State::kOpen;
    os::Nanos next_look = 0;
    bool claimed = false;   // by another server, when it was last looked at
    bool finished = false;  // its handler has run here, and its reply was published
    bool warned = false;
    int damaged = 0;  // readings of `call` that found it so
    std::shared_ptr<const spool::DurableCallRecord> record;
  };
  struct Kept {
    spool::DurableReplyRecord record;
    std::string body;
    bool power_loss;
  };

  // --- The thread's own.
  void Run();
  void LookOnce();
  void TakeEnded() ABSL_LOCKS_EXCLUDED(mu_);
  void PublishKept() ABSL_LOCKS_EXCLUDED(mu_);
  void WatchRunning() ABSL_LOCKS_EXCLUDED(mu_);
  // Unless it was listed a moment ago.
  void ListAnew();
  void Sweep();
  void LookAt(const std::string& ticket, Known* known);
  // False: `known` says what becomes of it.
  bool ReadCall(const std::string& ticket, const spool::DurableStore::State& state, Known* known);
  // Whether the call's last owner is gone, so that it may be claimed; if it cannot be, this has
  // dealt with it.
  bool OwnerGone(const std::string& ticket, const spool::DurableStore::State& state, Known* known);
  void Claim(const std::string& ticket, uint32_t number, Known* known)
      ABSL_LOCKS_EXCLUDED(taking_mu_);
  void Dispatch(const std::shared_ptr<DurableCall>& session, const spool::DurableCallRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(taking_mu_);
  // The deadline of the call, put into its header. An error: it cannot be known.
  absl::Status SetTimeout(const spool::DurableCallRecord& record, wire::CallHeader* header);
  void PublishReply(const std::string& ticket, const absl::Status& status, int32_t reason,
                    bool may_have_executed, bool power_loss, Known* known);
  void Fail(const absl::Status& status, Known* known);
  int free_room() const ABSL_LOCKS_EXCLUDED(mu_);

  const DurableCallsOptions options_;
  const spool::DurableStore store_;
  std::thread thread_;

  std::map<std::string, Known> known_;
  spool::OwnerWatch owners_;
  spool::DurableRetention retention_;
  std::map<std::string, os::Nanos> touches_;  // directory -> when
  os::Nanos next_watch_ = 0;
  os::Nanos next_sweep_ = 0;
  std::string rechecked_;  // up to here, by the last sweep
  os::Nanos last_activity_ = 0;
  std::vector<std::string> tickets_;  // as they were listed
  os::Nanos listed_ = 0;
  os::Nanos listing_took_ = 0;
  bool want_listing_ = false;

  absl::Mutex taking_mu_;
  bool taking_ ABSL_GUARDED_BY(taking_mu_) = true;

  struct Ended {
    std::string ticket;
    End end;
    os::Nanos look_again;
  };
  mutable absl::Mutex mu_ ABSL_ACQUIRED_AFTER(taking_mu_);
  absl::CondVar changed_;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Ended> ended_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::weak_ptr<ServerCall>> running_ ABSL_GUARDED_BY(mu_);
  std::vector<Kept> kept_ ABSL_GUARDED_BY(mu_);
  int publishing_ ABSL_GUARDED_BY(mu_) = 0;  // of those that were kept
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_DURABLE_CALLS_H_
