// Removes what dead processes left behind (docs/protocol.md, section 9).
#ifndef SPOOLRPC_SPOOL_COLLECTOR_H_
#define SPOOLRPC_SPOOL_COLLECTOR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "spoolrpc/os/clock.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// Looks over a spool from time to time, and remembers what leases it saw: one whose process the
// kernel says is dead is removed at once, one of another host when its lease has not moved for some
// terms of this process's clock. Not thread-safe; blocks as the file system does.
class Collector {
 public:
  // Servers and sessions for which `mine(id)` is true are left alone: their owner sees to them.
  Collector(std::shared_ptr<const Spool> spool) : spool_(std::move(spool)) {}

  // One look. Returns what was removed (paths).
  std::vector<std::string> Collect(const std::string& own_server_id);

 private:
  struct Watched {
    uint64_t counter = 0;
    os::Nanos since = 0;
    bool seen = false;
  };

  // True when the lease at `path` has stood still for `terms` terms.
  bool Expired(const std::string& key, const std::string& path, uint64_t term_ns, int terms);
  void CollectServers(const std::string& own_server_id);
  void CollectSessions(const std::string& own_server_id);
  void CollectTemporaries(const std::string& directory);
  void Remove(const std::string& path);

  const std::shared_ptr<const Spool> spool_;
  std::map<std::string, Watched> watched_;
  std::map<std::string, os::Nanos> temporaries_;
  std::vector<std::string> removed_;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_COLLECTOR_H_
