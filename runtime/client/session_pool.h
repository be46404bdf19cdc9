// The sessions of one channel, and the thread that makes them and looks after them.
#ifndef SPOOLRPC_CLIENT_SESSION_POOL_H_
#define SPOOLRPC_CLIENT_SESSION_POOL_H_

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/client/channel.h"
#include "spoolrpc/client/client_session.h"
#include "spoolrpc/client/server_schema.h"
#include "spoolrpc/client/shun_list.h"
#include "spoolrpc/link/io_threads.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/spool/collector.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/session_directory.h"

namespace spoolrpc::client {

// Thread-safe. The thread starts with the first call.
class SessionPool {
 public:
  // `keep_alive` is what the environment of `options` needs, and may be null: messages that a
  // program keeps may outlive the pool.
  SessionPool(std::string path, const ChannelOptions& options,
              std::shared_ptr<const void> keep_alive);
  // Closes all sessions.
  ~SessionPool();

  // A session with a server that `method` (of which null is any) may be called on, chosen as the
  // channel says if there are several, with none in `avoid` (server ids) if there are others; null
  // if there is none at the moment. Warns when the server first chosen for a method has been built
  // from another schema. A method must live as long as the process, as generated code has it.
  std::shared_ptr<ClientSession> TryGet(const MethodInfo* method,
                                        const std::vector<std::string>& avoid = {})
      ABSL_LOCKS_EXCLUDED(mu_);
  // The same, in turn if there are several. Waits for one until `deadline`: then DEADLINE_EXCEEDED,
  // whose message says what was found instead. FAILED_PRECONDITION with the reason VERSION_MISMATCH
  // as soon as a look for servers has found that all that offer the method's service are
  // incompatible. Any other error says at once why the spool cannot be used. With `fail_fast` it is
  // DEADLINE_EXCEEDED also as soon as a look for servers has found none.
  absl::StatusOr<std::shared_ptr<ClientSession>> Get(const MethodInfo* method, os::Nanos deadline,
                                                     bool fail_fast,
                                                     const std::function<bool()>& cancelled)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Wakes those who wait in Get(), to look whether they were cancelled.
  void WakeAll() ABSL_LOCKS_EXCLUDED(mu_);

  using FoundFn = std::function<void(absl::StatusOr<std::shared_ptr<ClientSession>>)>;
  // As Get(), without waiting and without a deadline: `found` is called on a thread of the runtime,
  // later, unless CancelWait() of the number that this returns, which is never 0, comes before.
  uint64_t GetAsync(const MethodInfo* method, bool fail_fast, FoundFn found)
      ABSL_LOCKS_EXCLUDED(mu_);
  // True: `found` was not called and will not be.
  bool CancelWait(uint64_t wait) ABSL_LOCKS_EXCLUDED(mu_);
  ChannelState state() const ABSL_LOCKS_EXCLUDED(mu_);
  // What the last look for servers found for `method`, for messages.
  std::string situation(const MethodInfo& method) const ABSL_LOCKS_EXCLUDED(mu_);
  // True if it found live servers, and none of them offers the method's service.
  bool Unoffered(const MethodInfo& method) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Methods = std::set<const MethodInfo*>;

  struct Member {
    std::shared_ptr<ClientSession> session;
    std::shared_ptr<const ServerSchema> schema;
    // The methods called so far. What was warned of counts as kFits.
    absl::flat_hash_map<const MethodInfo*, Fit> fits;
  };

  // A session that its server has not accepted yet.
  struct Pending {
    spool::ServerEntry server;
    std::shared_ptr<const ServerSchema> schema;
    std::unique_ptr<spool::SessionDirectory> directory;
    std::shared_ptr<wait::Doorbell> server_bell;
    os::Nanos published = 0;
    os::Nanos touch_at = os::kNever;
    os::Nanos withdraw_at = 0;
    os::Nanos next_look = 0;
  };

  // One who waits in GetAsync().
  struct Waiter {
    std::multiset<const MethodInfo*>::iterator waiting;
    bool fail_fast;
    uint64_t scans;  // when it came
    FoundFn found;
  };

  void StartThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes the pool's thread look for servers that have `method`.
  std::multiset<const MethodInfo*>::iterator Want(const MethodInfo* method)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Gives what there is to those who wait in GetAsync(); an error to all of them.
  void ServeWaiters(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // Sets `*warning` if this is the time to warn; null: the session is not to be used.
  std::shared_ptr<ClientSession> Pick(const MethodInfo* method,
                                      const std::vector<std::string>& avoid, std::string* warning)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<std::shared_ptr<ClientSession>> Await(const MethodInfo* method, os::Nanos deadline,
                                                       bool fail_fast,
                                                       const std::function<bool()>& cancelled,
                                                       std::string* warning)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Why servers that are there cannot take calls of `method`; empty if there are none such.
  std::string Objection(const MethodInfo* method) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // An error if all servers that offer the method's service are incompatible.
  absl::Status Disagreement(const MethodInfo* method) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string Situation(const MethodInfo* method) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A whole look for servers since `scans` has found none that may still accept.
  bool NobodyThere(uint64_t scans) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return scans_ >= scans + 2 && connecting_ == 0;
  }
  // After what may have changed the above.
  void NoteScan(bool whole) ABSL_LOCKS_EXCLUDED(mu_);

  // What follows belongs to the pool's thread.
  os::Nanos Step();
  // The wait for a name, between `shortest` and a sixteenth of how long it has lasted.
  static os::Nanos NextLook(os::Nanos now, os::Nanos since, os::Nanos shortest, os::Nanos longest) {
    return now + std::clamp((now - since) / 16, shortest, longest);
  }
  // Looks for servers that have any of `wanted`; nothing that there is has any of `missing`.
  void Scan(os::Nanos now, const Methods& wanted, const Methods& missing);
  std::shared_ptr<const ServerSchema> SchemaOf(const spool::ServerEntry& server);
  // The server's lease says that it takes sessions.
  bool Open(const spool::ServerEntry& server);
  void Connect(const spool::ServerEntry& server, const std::shared_ptr<const ServerSchema>& schema,
               const Methods& missing, os::Nanos now);
  // The channel has as many servers as it may, and does not need this one.
  bool Enough(const ServerSchema& schema, const Methods& missing) ABSL_LOCKS_EXCLUDED(mu_);
  // True if the session is no longer pending.
  bool LookAt(Pending* pending, os::Nanos now);
  absl::Status Adopt(Pending* pending, const spool::VerdictRecord& verdict);
  void OnRefused(const Pending& pending, const spool::VerdictRecord& verdict)
      ABSL_LOCKS_EXCLUDED(mu_);
  void GiveBack(Pending* pending, os::Nanos now);
  void DropUnusable() ABSL_LOCKS_EXCLUDED(mu_);
  void EmptyGraves();
  void Sleep(os::Nanos until);
  void Fail(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  const std::string path_;
  const ChannelOptions options_;
  const std::shared_ptr<const void> keep_alive_;
  const os::Environment env_;
  const os::Nanos withdraw_after_;

  mutable absl::Mutex mu_;
  absl::CondVar changed_;
  std::vector<Member> sessions_ ABSL_GUARDED_BY(mu_);
  int alive_ ABSL_GUARDED_BY(mu_) = 0;  // sessions of this pool that are not destroyed yet
  size_t turn_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t scans_ ABSL_GUARDED_BY(mu_) = 0;     // looks for servers
  size_t connecting_ ABSL_GUARDED_BY(mu_) = 0;  // sessions that wait for acceptance
  uint64_t picks_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t picks_seen_ ABSL_GUARDED_BY(mu_) = 0;                   // at the last scan
  std::multiset<const MethodInfo*> waiting_ ABSL_GUARDED_BY(mu_);  // what callers wait for
  Methods used_ ABSL_GUARDED_BY(mu_);                              // called so far
  Methods warned_ ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  uint64_t failures_ ABSL_GUARDED_BY(mu_) = 0;
  std::string situation_ ABSL_GUARDED_BY(mu_);  // what the last scan found, for messages
  // What the live servers of the last scan offer; empty if there were none.
  std::set<std::string, std::less<>> offered_ ABSL_GUARDED_BY(mu_);
  // Methods that at least one of them may be called with, whether it has accepted a session or not.
  Methods hopeful_ ABSL_GUARDED_BY(mu_);
  // Those of them that speak other protocol versions. They get no session.
  std::vector<std::shared_ptr<const ServerSchema>> strangers_ ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, Waiter> waiters_ ABSL_GUARDED_BY(mu_);
  uint64_t last_waiter_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool started_ ABSL_GUARDED_BY(mu_) = false;

  // The pool's thread's own.
  std::thread thread_;
  int wake_fd_ = -1;
  std::shared_ptr<const spool::Spool> spool_;
  std::unique_ptr<spool::ServerList> servers_;
  // Null: servers see to it.
  std::unique_ptr<spool::Collector> collector_;
  os::Nanos next_collection_ = 0;
  std::map<std::string, std::shared_ptr<const ServerSchema>> schemas_;  // by server id
  std::unique_ptr<link::FlusherThreads> flushers_;
  std::shared_ptr<link::PollerThreads> pollers_;
  std::vector<std::unique_ptr<Pending>> pending_;
  ShunList shunned_;
  // Halves of sessions that have ended, still to be removed.
  std::vector<std::unique_ptr<spool::SessionDirectory>> graves_;
  std::map<ClientSession*, int> pidfds_;
  std::unique_ptr<log::AlignedBuffer> buffer_;
  os::Nanos next_scan_ = 0;
  os::Nanos scanning_since_ = 0;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_SESSION_POOL_H_
