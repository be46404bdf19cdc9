// Who may use a spool: by owner, group and modes of its directory, which the kernel keeps
// (docs/security.md).
#ifndef SPOOLRPC_SPOOL_SPOOL_ACCESS_H_
#define SPOOLRPC_SPOOL_SPOOL_ACCESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::spool {

// What a server wants of the spool that it serves.
struct SpoolAccess {
  // The group to share it with; none: as it is, or for its owner alone where it is made.
  std::optional<uint32_t> group;
  // Other uids that may serve it, beside the owner and root; none: as it says already.
  std::optional<std::vector<uint32_t>> server_uids;
};

// Whom a spool's directory belongs to.
struct SpoolOwner {
  uint32_t uid = 0;
  std::optional<uint32_t> group;  // that it is shared with (mode 3770)
};

// FAILED_PRECONDITION, with path, reason and what to do.
absl::Status Unusable(const std::string& path, absl::string_view why);

// Looks at the spool's directory `path`, which has no symbolic link in it, and at those above.
// Errors name the path with its mode and say what to do: NOT_FOUND; FAILED_PRECONDITION for what is
// no directory, or where everybody could put something of theirs in its place; PERMISSION_DENIED
// for one that is another user's alone.
absl::StatusOr<SpoolOwner> CheckSpoolDirectory(os::SystemCalls* calls, const std::string& path);

// What lies in the spool's directory must belong to the spool's owner or to root.
absl::Status CheckSpoolEntryOwner(const SpoolOwner& owner, const std::string& path,
                                  const os::FileInfo& info);
// A directory in it, if it is there, must besides not let others remove what is not theirs.
absl::Status CheckSpoolEntry(os::SystemCalls* calls, const SpoolOwner& owner,
                             const std::string& path);

// Gives a directory of this process's own to `group`, so that members may make names in it and
// remove only their own (3770). `open` false: not yet, only what is made in it belongs to the
// group.
absl::Status ShareWithGroup(os::SystemCalls* calls, const std::string& path, uint32_t group,
                            bool open);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_SPOOL_ACCESS_H_
