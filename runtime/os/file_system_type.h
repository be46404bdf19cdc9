// What kind of file system a path is on, since each wants to be read in its own way.
#ifndef SPOOLRPC_OS_FILE_SYSTEM_TYPE_H_
#define SPOOLRPC_OS_FILE_SYSTEM_TYPE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::os {

struct FileSystemType {
  std::string name;  // "ext4", "nfs", "fuse", or the magic number
  // All who can reach it are on this host, and see one another's completed writes at once.
  bool local = false;
  // The largest write that reaches the file server as one, in bytes.
  uint64_t max_write = 65536;
};

// By statfs(2). What is not known to be local counts as a network file system.
absl::StatusOr<FileSystemType> DescribeFileSystem(SystemCalls* calls, const std::string& path);

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_FILE_SYSTEM_TYPE_H_
