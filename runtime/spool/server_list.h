// The servers of a spool, as one who looks for them sees them.
#ifndef SPOOLRPC_SPOOL_SERVER_LIST_H_
#define SPOOLRPC_SPOOL_SERVER_LIST_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "spoolrpc/os/host.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

struct ServerEntry {
  std::string id;  // 16 bytes
  std::string directory;
  std::shared_ptr<const ServerRecord> record;
  // Whom its directory belongs to.
  uint32_t uid = 0;
  // kDead: certainly; kUnknown: on another host.
  os::Liveness liveness = os::Liveness::kUnknown;
};

os::ProcessId ToProcessId(const ProcessIdentity& identity);
ProcessIdentity ToProcessIdentity(const os::ProcessId& process);

// Lists `servers/`, opened anew each time; records are immutable, so each is read once. Not
// thread-safe. Blocks as the file system does.
class ServerList {
 public:
  explicit ServerList(std::shared_ptr<const Spool> spool) : spool_(std::move(spool)) {}

  // All that have a valid record and belong to one who may serve the spool (Spool::MayServe()). One
  // of another user, or with a damaged or foreign record, is left out, and said in `problems` if
  // that is given.
  absl::StatusOr<std::vector<ServerEntry>> Refresh(std::vector<std::string>* problems = nullptr);

 private:
  const std::shared_ptr<const Spool> spool_;
  struct Known {
    std::shared_ptr<const ServerRecord> record;
    uint32_t uid;
  };
  std::map<std::string, Known> known_;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_SERVER_LIST_H_
