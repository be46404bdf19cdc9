// Directories that get their name in a spool once they are complete: sessions, servers, durable
// calls. Until then they lie under a temporary name beside it; on a network file system, one level
// below that name:
//
//   1. mkdir PARENT/.tmp-...          2. mkdir PARENT/.tmp-.../new, and fill it
//   3. rename it to PARENT/NAME       4. rmdir PARENT/.tmp-...
//
// For everybody lists PARENT, all the time. A GlusterFS server that lists a directory while a
// directory in it is renamed may put the old name back into its table of names after the rename;
// whatever is then done below the new name goes to the old one, and fails with ESTALE for minutes.
// Nobody lists PARENT/.tmp-... . A crash leaves a temporary name, empty or not, which the collector
// removes with all that is in it.
#ifndef SPOOLRPC_SPOOL_STAGED_DIRECTORY_H_
#define SPOOLRPC_SPOOL_STAGED_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// Where to make a directory that will lie in `parent`: its path, whose last part is not there yet.
// Blocks as the file system does, as all of these.
absl::StatusOr<std::string> StageDirectory(const Spool& spool, const std::string& parent);

// After the rename: removes what step 1 made. What cannot be removed is left to the collector.
void RemoveStage(const Spool& spool, const std::string& staged);

// Instead of the rename: removes everything.
absl::Status RemoveStaged(const Spool& spool, const std::string& staged);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_STAGED_DIRECTORY_H_
