// Acceptance against withdrawal: the verdict on a session is a name that is linked once
// (docs/protocol.md, section 3).
#ifndef SPOOLRPC_SPOOL_VERDICT_H_
#define SPOOLRPC_SPOOL_VERDICT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// Between whom a verdict decides, by their uids: what a third user links under its name decides
// that neither of them has the session.
struct VerdictParties {
  uint32_t server;  // may accept and refuse
  uint32_t client;  // may withdraw
};

// Tries to make `record` the verdict at `path` and returns the verdict that stands there: the
// caller's own exactly if `*won`. `temporary_directory` is a directory of the caller's, on the same
// file system. An error means that it is not known who won, or that nobody did; PERMISSION_DENIED
// that a third user's file is there, and neither party has won nor will.
//
// 1. Write the record under a temporary name, flush it.
// 2. link() it to `path`.
// 3. Whatever link() said (a retried NFS request may report failure for its own success), compare
//    the inodes: if `path` is the temporary file, the caller has won. Otherwise read what is there.
// 4. Remove the temporary name.
// A crash before 2 leaves a temporary file, one after it a verdict with two links; collection
// removes the first and ignores the second's.
absl::StatusOr<VerdictRecord> DecideVerdict(const Spool& spool, const std::string& path,
                                            const std::string& temporary_directory,
                                            const VerdictRecord& record,
                                            const VerdictParties& parties, bool* won);

// The verdict at `path`, NOT_FOUND if there is none yet. The directory is opened anew first: a name
// that was looked for too early stays invisible on NFS for half a minute otherwise.
// PERMISSION_DENIED: as above.
absl::StatusOr<VerdictRecord> LookForVerdict(const Spool& spool, const std::string& path,
                                             const std::string& session_id,
                                             const VerdictParties& parties);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_VERDICT_H_
