// What `spoolrpc status` prints, as data.
#ifndef SPOOLRPC_SPOOL_QUERY_H_
#define SPOOLRPC_SPOOL_QUERY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace spoolrpc {

struct SessionStatus {
  std::string id;  // hex
  std::string client_host;
  int64_t client_pid = 0;
  uint32_t client_uid = 0;
  uint64_t request_bytes = 0;   // that the client has flushed into its log so far
  uint64_t response_bytes = 0;  // that the server has
};

struct ServerStatus {
  enum class State { kServing, kDraining, kStopped, kDead, kUnresponsive };
  std::string id;  // hex
  std::string host;
  int64_t pid = 0;
  uint32_t uid = 0;
  State state = State::kServing;
  std::string software_version;
  absl::Time started;            // by the server's clock
  absl::Duration uptime;         // by this host's clock; negative if the clocks differ that much
  absl::Duration lease_term;
  absl::Duration lease_age;      // since this query saw it move; infinite: it did not
  uint64_t calls_served = 0;
  std::vector<std::string> services;
  std::vector<SessionStatus> sessions;
  std::string log_path;
};

struct SpoolStatus {
  std::string path;
  std::string file_system;  // "ext4", "nfs", ...
  bool local = false;
  std::vector<ServerStatus> servers;
  std::vector<std::string> problems;  // damaged or foreign entries, in words
};

struct QueryOptions {
  // How long to watch the leases of servers on other hosts before calling them unresponsive. Those
  // of this host need none. Zero: do not watch; they count as serving.
  absl::Duration watch = absl::ZeroDuration();
};

// Looks at the spool that `address` names (as CreateChannel() takes it). Changes nothing. Blocks as
// the file system does, and for options.watch at most. NOT_FOUND: there is no spool.
absl::StatusOr<SpoolStatus> QuerySpool(absl::string_view address, const QueryOptions& options = {});

absl::string_view StateName(ServerStatus::State state);

}  // namespace spoolrpc

#endif  // SPOOLRPC_SPOOL_QUERY_H_
