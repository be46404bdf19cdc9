// Who serves a spool, as data: what `spoolrpc status` prints and waits for.
#ifndef SPOOLRPC_SPOOL_QUERY_H_
#define SPOOLRPC_SPOOL_QUERY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "spoolrpc/os/environment.h"

namespace spoolrpc {

struct SessionStatus {
  // As this host's kernel says; kUnknown: it runs on another host, or its record is gone.
  enum class Client { kAlive, kDead, kUnknown };
  std::string id;  // hex
  Client client = Client::kUnknown;
  std::string client_host;
  int64_t client_pid = 0;
  uint32_t client_uid = 0;  // whose its files are
  // Bytes of frames in each log, as its writer's lease said at its last renewal.
  uint64_t request_bytes = 0;
  uint64_t response_bytes = 0;
};

struct ServerStatus {
  enum class State {
    kServing,
    kDraining,      // finishes what it has, takes nothing new
    kStopped,       // has closed; its directory is about to go
    kDead,          // its process is gone
    kUnresponsive,  // its lease has not moved for a term, as far as this query watched
  };
  std::string id;         // hex
  std::string directory;  // servers/SERVER
  std::string host;
  int64_t pid = 0;
  uint32_t uid = 0;
  State state = State::kServing;
  std::string software_version;
  absl::Time started;     // by the server's clock
  absl::Duration uptime;  // by this host's clock; negative if the clocks differ that much
  absl::Duration lease_term;
  // Since the last renewal: by the lease file's mtime where the file system is local, else since
  // this query saw the counter move. Infinite: it did not.
  absl::Duration lease_age = absl::InfiniteDuration();
  uint64_t calls_served = 0;  // as the lease said at its last renewal
  std::vector<std::string> services;
  size_t session_count = 0;
  std::vector<SessionStatus> sessions;  // the first QueryOptions::max_sessions of them
  std::string log_path;
};

struct SpoolStatus {
  std::string path;
  std::string file_system;  // "ext4", "nfs", ...
  bool local = false;       // only processes of this host can reach it
  uint32_t owner_uid = 0;
  std::optional<uint32_t> group_gid;  // that it is shared with; none: it is its owner's alone
  std::vector<ServerStatus> servers;
  std::vector<std::string> problems;  // damaged or foreign entries, in words
};

struct QueryOptions {
  // How long to watch the leases whose age the file system does not tell (all of a network file
  // system), each for at most 1.2 of its own terms. One that does not move is unresponsive. Zero:
  // they are not watched, and count as alive.
  absl::Duration watch = absl::ZeroDuration();
  // Looks at so many sessions of each server. Each costs a few file operations.
  size_t max_sessions = 1000;
  os::Environment environment;  // for tests
};

// Looks at the spool that `address` names (as CreateChannel() takes it). Changes nothing. Blocks as
// the file system does, and for options.watch at most. Errors: NOT_FOUND, there is no spool (yet);
// INVALID_ARGUMENT, the address is none; FAILED_PRECONDITION, the path is something else than a
// spool, or one of a newer format; PERMISSION_DENIED; others as the file system says. Each names
// the path.
absl::StatusOr<SpoolStatus> QuerySpool(absl::string_view address, const QueryOptions& options = {});

struct WaitOptions {
  // "package.Service" that the server must offer; empty: any server will do.
  std::string service;
  absl::Duration timeout = absl::InfiniteDuration();
  size_t max_sessions = 1000;
  os::Environment environment;  // for tests
};

// Waits until HasServer(status, options.service), or the time is over, and returns the last status
// seen; the caller asks HasServer(). A spool that is not there yet is waited for. Errors are those
// of QuerySpool(), at once where waiting cannot mend them.
absl::StatusOr<SpoolStatus> WaitForServer(absl::string_view address, const WaitOptions& options);

// True if a server that is serving (not draining) offers `service` (empty: whatever it offers).
bool HasServer(const SpoolStatus& status, absl::string_view service);

// "serving", "draining", "stopped", "dead", "unresponsive".
absl::string_view StateName(ServerStatus::State state);
// "alive", "dead", "unknown".
absl::string_view ClientName(SessionStatus::Client client);

}  // namespace spoolrpc

#endif  // SPOOLRPC_SPOOL_QUERY_H_
