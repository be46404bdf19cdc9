// Servers that do not share their spool with others (docs/protocol.md, section 12).
#ifndef SPOOLRPC_SPOOL_EXCLUSIVE_H_
#define SPOOLRPC_SPOOL_EXCLUSIVE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/owner_watch.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

enum class ExclusiveMode {
  kShared,  // any number of servers, unless one wants the spool for itself
  kRefuse,  // alone, or not at all: an error if another server lives
  kForce,   // alone: others are asked to stop, and waited for
};

struct ExclusiveOptions {
  ExclusiveMode mode = ExclusiveMode::kShared;
  std::string server_id;  // 16 bytes
  uint64_t term_ns = 0;   // of the server's lease
  // kForce: how long what runs on the other servers may go on before it is cancelled.
  absl::Duration grace;
};

// One server's part in who has the spool for itself. Not thread-safe; blocks as the file system
// does. A server that is dead, or whose lease was silent for a term while it was watched here, is
// in nobody's way; to find that out may take so long.
class ExclusiveHold {
 public:
  ExclusiveHold(std::shared_ptr<const Spool> spool, ExclusiveOptions options);

  // Before the server's directory is published: makes sure that it may serve. Blocks until that is
  // known of every server that is there: at once if all are dead, or renewed their leases lately on
  // a local file system, else a quarter of their term if they live and a term if not; with kForce
  // also while the others stop, for `grace` and half a minute at most. ALREADY_EXISTS: another
  // server is there, which the message names; DEADLINE_EXCEEDED: it has not stopped in time. Other
  // errors as the file system says.
  absl::Status Enter();
  // After that: who came at the same moment must not have been overlooked. Errors as Enter()'s; the
  // directory is then to be removed.
  absl::Status Confirm();

  // Another server counts on this one's having gone: FAILED_PRECONDITION, which names it. Other
  // errors: that is not known. To be called between each renewal of the server's lease and whatever
  // is built on that. Always OK for a shared server.
  absl::Status Check();

  // Gives the spool back. Only when the server executes nothing any more.
  void Release();

 private:
  // The record of the highest number, as far as it names somebody.
  struct Top {
    uint32_t number = 0;
    uint32_t next = 1;  // the lowest above it whose name is free
    std::optional<ExclusiveRecord> holder;
  };

  absl::StatusOr<Top> ReadTop();
  // The others that are not known to be gone: those of the list, and `holder`.
  absl::StatusOr<std::vector<ServerEntry>> Others(const std::optional<ExclusiveRecord>& holder);
  // Whose lease cannot be read for so long that this should be known counts as alive.
  OwnerWatch::Life Look(const ServerEntry& server);
  // By the lease file's time of modification, where host and file system have one clock.
  bool RenewedLately(const ServerEntry& server);
  absl::Status EnterShared();
  absl::Status EnterAlone();
  // Links the next name; false: somebody else was faster, or has to be waited for.
  absl::StatusOr<bool> Claim(const Top& top);
  void AskOnce(const std::vector<ServerEntry>& servers);
  // Those whose lease has expired stop as soon as they come back.
  void AskExpired();
  void RemoveOldNames();
  absl::Status Refused(const ServerEntry& server) const;

  const std::shared_ptr<const Spool> spool_;
  const ExclusiveOptions options_;
  ServerList list_;
  OwnerWatch watch_;
  std::set<std::string> asked_;
  std::map<std::string, os::Nanos> watched_since_;
  uint32_t number_ = 0;  // of the own name; 0: there is none
  uint32_t seen_ = 0;    // shared: the highest number before the directory was published
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_EXCLUSIVE_H_
