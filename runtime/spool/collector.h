// Removes what dead processes left behind (docs/protocol.md, section 9).
#ifndef SPOOLRPC_SPOOL_COLLECTOR_H_
#define SPOOLRPC_SPOOL_COLLECTOR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/os/host.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

struct CollectorOptions {
  // Nothing is removed: what would be is only said.
  bool dry_run = false;
  // How many durable calls' directories a look goes through, for temporary names in them; the next
  // look goes on behind them.
  size_t max_calls = 100;
};

// What a look has removed, or would.
struct Leftover {
  std::string path;
  std::string reason;   // why it is one, in words
  absl::Status status;  // an error: it, or some of it, is still there
};

// Looks over a spool from time to time, and remembers what leases it saw: what belongs to a process
// that the kernel says is dead is removed at once, what belongs to one of another host when its
// lease has not moved for some terms of this process's clock. It remembers no more than the spool
// holds. Not thread-safe; blocks as the file system does. Several, in several processes, may look
// over the same spool.
class Collector {
 public:
  explicit Collector(std::shared_ptr<const Spool> spool, CollectorOptions options = {})
      : spool_(std::move(spool)), options_(options) {}

  // Tells whether the calling server serves the session of that id; of other servers' sessions it
  // is not asked.
  using ServesFn = absl::FunctionRef<bool(const std::string&)>;

  // One look. Leaves the server `own_server_id` alone (empty: the caller is none), what it serves,
  // and the sessions of other servers as long as those are there. In a group's spool another user's
  // servers, and a session whose server cannot remove it, are for their own user and for root.
  std::vector<Leftover> Collect(const std::string& own_server_id, ServesFn serves);
  // For a client in a group's spool, where nobody but its own user and root can remove what it has
  // left: the halves of sessions whose client was this user's and is dead. (A collector looks with
  // either of the two.)
  std::vector<Leftover> CollectOwn();

  // Leases of other hosts' processes that have not moved since this collector saw them first: a
  // later look may find that they have expired.
  size_t waiting() const;
  // How many leases it remembers.
  size_t watched() const { return watched_.size(); }

 private:
  struct Watched {
    uint64_t counter = 0;
    os::Nanos since = 0;
    bool settled = false;  // it has moved, or has expired
    uint64_t look = 0;     // the last one that asked for it
  };

  // True when the lease at `path`, a head's, has stood still for `terms` terms. A file that is gone
  // stands still. `term_ns` 0: as the head says, and not below the usual term.
  bool Expired(const std::string& key, const std::string& path, uint64_t term_ns, int terms);
  // Why whoever `process` is has left the thing with that lease; none: it lives, or may live.
  std::optional<std::string> Abandoned(const std::string& what, const os::ProcessId& process,
                                       const std::string& key, const std::string& lease,
                                       uint64_t term_ns, int terms);
  // Of a session's client.
  std::optional<std::string> AbandonedByClient(const std::string& id, const SessionRecord& record);
  void BeginLook();
  std::vector<Leftover> EndLook();
  // Whether a thing of that user is for this process to remove, or to try to.
  bool MayRemove(uint32_t uid) const;
  // Whether to leave a session of that user to the server that its record names.
  bool ServerSeesToIt(const SessionRecord& record, uint32_t session_uid) const;
  void FindDeadServers(const std::string& own_server_id);
  void CollectServers();
  void CollectSession(const std::string& id, const std::string& own_server_id, ServesFn serves);
  void CollectSessions(const std::string& own_server_id, ServesFn serves);
  void CollectVerdicts(const std::string& own_server_id, ServesFn serves);
  // Temporary names and, in `spools_own` directories, those of files that were removed while a
  // client of NFS had them open.
  void CollectTemporaries(const std::string& directory, bool spools_own);
  void CollectCalls();
  bool OlderThanAnHour(const std::string& path);
  void Remove(const std::string& path, const std::string& reason);
  void RemoveServer(const std::string& directory, const std::string& reason);

  const std::shared_ptr<const Spool> spool_;
  const CollectorOptions options_;
  std::map<std::string, Watched> watched_;
  std::string calls_done_;  // up to here, by the last look
  uint64_t looks_ = 0;
  // Of one look.
  std::map<std::string, std::string> dead_servers_;  // id -> why
  std::optional<int64_t> file_time_;                 // the file server's, nanoseconds
  std::vector<Leftover> leftovers_;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_COLLECTOR_H_
