// Removes what dead processes left behind (docs/protocol.md, section 9).
#ifndef SPOOLRPC_SPOOL_COLLECTOR_H_
#define SPOOLRPC_SPOOL_COLLECTOR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// Looks over a spool from time to time, and remembers what leases it saw: one whose process the
// kernel says is dead is removed at once, one of another host when its lease has not moved for some
// terms of this process's clock. Not thread-safe; blocks as the file system does.
class Collector {
 public:
  explicit Collector(std::shared_ptr<const Spool> spool) : spool_(std::move(spool)) {}

  // Tells whether the calling server serves the session of that id; of other servers' sessions it
  // is not asked.
  using ServesFn = absl::FunctionRef<bool(const std::string&)>;

  // One look. Leaves the server `own_server_id` alone (empty: the caller is none), what it serves,
  // and the sessions of other servers as long as those are there. Returns what was removed (paths).
  std::vector<std::string> Collect(const std::string& own_server_id, ServesFn serves);
  // For a client in a group's spool, where nobody but its own user and root can remove what it has
  // left: removes the halves of sessions whose client was this user's and is dead.
  std::vector<std::string> CollectOwn();

 private:
  struct Watched {
    uint64_t counter = 0;
    os::Nanos since = 0;
    bool seen = false;
  };

  // True when the lease at `path` has stood still for `terms` terms.
  bool Expired(const std::string& key, const std::string& path, uint64_t term_ns, int terms);
  void RemoveIfClientIsDead(const std::string& id, const std::string& path,
                            const SessionRecord& record);
  void CollectServers(const std::string& own_server_id);
  void CollectSessions(const std::string& own_server_id, ServesFn serves);
  void CollectVerdicts(const std::string& own_server_id, ServesFn serves);
  void CollectTemporaries(const std::string& directory);
  void Remove(const std::string& path);

  const std::shared_ptr<const Spool> spool_;
  std::map<std::string, Watched> watched_;
  std::map<std::string, os::Nanos> temporaries_;
  std::vector<std::string> removed_;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_COLLECTOR_H_
