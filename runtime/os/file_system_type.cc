#include "spoolrpc/os/file_system_type.h"

#include <errno.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::os {
namespace {

struct KnownType {
  uint64_t magic;
  const char* name;
  bool local;
};

// Magic numbers: statfs(2), and the file systems' own documentation for those it leaves out.
constexpr KnownType kKnownTypes[] = {
    {0xEF53, "ext4", true},         {0x01021994, "tmpfs", true},   {0x58465342, "xfs", true},
    {0x9123683E, "btrfs", true},    {0x2FC12FC1, "zfs", true},     {0xF2F52010, "f2fs", true},
    {0xCA451A4E, "bcachefs", true}, {0x858458F6, "ramfs", true},   {0x6969, "nfs", false},
    {0x65735546, "fuse", false},    {0x0BD00BD0, "lustre", false}, {0x47504653, "gpfs", false},
    {0x19830326, "beegfs", false},  {0x00C36400, "ceph", false},   {0xFF534D42, "cifs", false},
    {0xFE534D42, "smb2", false},    {0x01021997, "9p", false},     {0x794C7630, "overlayfs", true},
};

}  // namespace

absl::StatusOr<FileSystemType> DescribeFileSystem(SystemCalls* calls, const std::string& path) {
  struct statfs s;
  int result;
  do {
    result = calls->Statfs(path.c_str(), &s);
  } while (result == -EINTR);
  if (result < 0) return ErrnoToStatus(-result, "statfs", path);
  FileSystemType type;
  const uint64_t magic = static_cast<uint32_t>(s.f_type);
  type.name = absl::StrFormat("0x%x", magic);
  for (const KnownType& known : kKnownTypes) {
    if (known.magic == magic) {
      type.name = known.name;
      type.local = known.local;
    }
  }
  // On NFS f_bsize is the mount's wsize. Elsewhere it tells how space is given out: GlusterFS and
  // sshfs say 4096 and take far more in one write.
  if (type.name == "nfs") type.max_write = std::clamp<uint64_t>(s.f_bsize, 4096, type.max_write);
  return type;
}

}  // namespace spoolrpc::os
