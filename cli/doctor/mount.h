// How a directory's file system is mounted, as the kernel tells it.
#ifndef SPOOLRPC_CLI_DOCTOR_MOUNT_H_
#define SPOOLRPC_CLI_DOCTOR_MOUNT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "cli/doctor/finding.h"

namespace spoolrpc::cli::doctor {

// All empty: not known.
struct Mount {
  std::string point;
  std::string source;   // "server:/export"
  std::string type;     // "nfs4", "fuse.sshfs"
  std::string options;  // "rw,relatime,vers=4.2,hard"
};

// Of the mount that `path`, which is absolute, lies in, by the text of /proc/self/mountinfo.
Mount FindMount(absl::string_view mountinfo, absl::string_view path);

// The same by the kernel's word of now.
Mount ReadMount(const std::string& path);

// Whether the mount has that option, such as "soft".
bool HasOption(const Mount& mount, absl::string_view option);

// What to mount with so that names are seen sooner, where that is known.
std::optional<Setting> MountOptionForNames(const Mount& mount);

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_MOUNT_H_
