// What one node can find out alone.
#ifndef SPOOLRPC_CLI_DOCTOR_NODE_CHECKS_H_
#define SPOOLRPC_CLI_DOCTOR_NODE_CHECKS_H_

#include <string>

#include "absl/status/status.h"
#include "cli/doctor/bell_partner.h"
#include "cli/doctor/examination.h"
#include "cli/doctor/mount.h"
#include "cli/doctor/workspace.h"

namespace spoolrpc::cli::doctor {

// What the checks work with.
struct Node {
  Examination* examination;
  Workspace* workspace;
  const Mount* mount;
  BellPartner* partner;  // may be null
};

// Whether the directory may hold a spool; adds a finding. An error: nothing can be examined there.
absl::Status CheckDirectory(Examination* examination, const std::string& directory);
// The file system's name and how it is mounted, space and inodes.
void CheckPlace(const Node& node);
// Making, writing and reading log files.
void CheckFiles(const Node& node);
// Whether one of several threads wins a name.
void CheckClaims(const Node& node);
// Doorbells.
void CheckMemory(const Node& node);

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_NODE_CHECKS_H_
