// Asking a server to stop, by a name in its inbox (docs/protocol.md, section 11; docs/format.md,
// section 2).
#ifndef SPOOLRPC_SPOOL_STOP_REQUEST_H_
#define SPOOLRPC_SPOOL_STOP_REQUEST_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// Asks `server` to take nothing more, to finish what runs within `deadline` of its reading this
// (absl::InfiniteDuration(): however long that takes), then to cancel it, and to end. Returns when
// the request is there for the server to read; that it has read it shows in its lease. Blocks as
// the file system does, on a network one for 20 ms besides. Thread-safe. Errors name the path:
// NOT_FOUND: the server's directory is gone; PERMISSION_DENIED: this user may not serve the spool,
// and the server would ignore it.
absl::Status AskToStop(const Spool& spool, const ServerEntry& server, absl::Duration deadline);

// The request `number` in the inbox of the server `id`, whose directory is `directory`. DATA_LOSS
// for one that does not count: damaged, a stranger's, or another server's.
absl::StatusOr<StopRecord> ReadStopRequest(const Spool& spool, const std::string& directory,
                                           const std::string& id, uint32_t number);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_STOP_REQUEST_H_
