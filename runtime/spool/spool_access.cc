#include "spoolrpc/spool/spool_access.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/users.h"

namespace spoolrpc::spool {
namespace {

constexpr uint32_t kOthersWrite = 0002;
constexpr uint32_t kGroupWrites = 0020;
constexpr uint32_t kSticky = 01000;
constexpr uint32_t kGroupInherits = 02000;
constexpr uint32_t kShared = kGroupInherits | kSticky;

// Whoever may write to a directory above the spool can move the spool away and put another there,
// unless the directory is sticky. A group that may is trusted, as a directory's owner is: projects
// share theirs.
absl::Status CheckParent(const std::string& path, const std::string& parent,
                         const os::FileInfo& info) {
  if ((info.mode & kSticky) != 0 || (info.mode & kOthersWrite) == 0) return absl::OkStatus();
  return Unusable(path,
                  absl::StrFormat("lies in %s, which has mode %04o: everybody may put another "
                                  "directory in its place; chmod o-w %s, or chmod +t it",
                                  parent, info.mode, parent));
}

}  // namespace

absl::Status Unusable(const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat("spool ", path, ": ", why));
}

absl::StatusOr<SpoolOwner> CheckSpoolDirectory(os::SystemCalls* calls, const std::string& path) {
  const auto info = os::StatPath(calls, path);
  if (!info.ok()) return info.status();
  if (info->type != os::FileInfo::Type::kDirectory) {
    return Unusable(path,
                    "is not a directory; give the path of a directory, or one that does not "
                    "exist yet");
  }
  if ((info->mode & kOthersWrite) != 0) {
    return Unusable(path, absl::StrFormat("has mode %04o: everybody may write to it; chmod 700 it",
                                          info->mode));
  }
  const bool shared = (info->mode & kGroupWrites) != 0;
  if (shared && (info->mode & kShared) != kShared) {
    return Unusable(path,
                    absl::StrFormat("has mode %04o: its group may write to it and remove others' "
                                    "files; chmod 700 it, or chmod 3770 to share it with the group",
                                    info->mode));
  }
  if (os::IsNobody(info->uid) || (shared && os::IsNobody(info->gid))) {
    return Unusable(path, absl::StrCat("belongs to uid ", info->uid, ", gid ", info->gid,
                                       ", which stand for nobody: this host or its file server "
                                       "does not know whose it is; mend the mapping of ids"));
  }
  SpoolOwner owner;
  owner.uid = info->uid;
  if (shared) owner.group = info->gid;
  for (size_t slash = path.rfind('/'); slash != std::string::npos && path.size() > 1;
       slash = slash == 0 ? std::string::npos : path.rfind('/', slash - 1)) {
    const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
    const auto above = os::StatPath(calls, parent);
    if (!above.ok()) continue;  // (Who sees the spool sees what is above it.)
    if (absl::Status s = CheckParent(path, parent, *above); !s.ok()) return s;
  }
  return owner;
}

absl::Status CheckSpoolEntryOwner(const SpoolOwner& owner, const std::string& path,
                                  const os::FileInfo& info) {
  if (info.uid == owner.uid || info.uid == 0) return absl::OkStatus();
  return Unusable(path, absl::StrCat("belongs to uid ", info.uid, ", and the spool to uid ",
                                     owner.uid, "; its owner should remove it"));
}

absl::Status CheckSpoolEntry(os::SystemCalls* calls, const SpoolOwner& owner,
                             const std::string& path) {
  const auto info = os::StatPath(calls, path);
  if (absl::IsNotFound(info.status())) return absl::OkStatus();
  if (!info.ok()) return info.status();
  if (absl::Status s = CheckSpoolEntryOwner(owner, path, *info); !s.ok()) return s;
  if (info->type != os::FileInfo::Type::kDirectory) return absl::OkStatus();
  if ((info->mode & kOthersWrite) != 0 ||
      ((info->mode & kGroupWrites) != 0 && (info->mode & kShared) != kShared)) {
    return Unusable(path, absl::StrFormat("has mode %04o: others may remove what is not theirs; "
                                          "chmod %s it",
                                          info->mode, owner.group.has_value() ? "3770" : "700"));
  }
  return absl::OkStatus();
}

absl::Status ShareWithGroup(os::SystemCalls* calls, const std::string& path, uint32_t group,
                            bool open) {
  const auto info = os::StatPath(calls, path);
  if (!info.ok()) return info.status();
  const uint32_t mode = open ? kShared | 0770 : kGroupInherits | 0700;
  if (info->gid == group && (info->mode == mode || info->mode == (kShared | 0770))) {
    return absl::OkStatus();
  }
  if (info->type != os::FileInfo::Type::kDirectory || info->uid != geteuid()) {
    return Unusable(path,
                    absl::StrCat("belongs to uid ", info->uid, ", and only its owner, not uid ",
                                 geteuid(), ", can share it with a group"));
  }
  if (info->gid != group) {
    if (absl::Status s = os::SetGroup(calls, path, group); !s.ok()) {
      return absl::Status(s.code(), absl::StrCat(s.message(), " (group ", group,
                                                 "): one shares a spool with a group of which one "
                                                 "is a member oneself"));
    }
  }
  if (absl::Status s = os::SetMode(calls, path, mode); !s.ok()) return s;
  // The kernel drops the bit for who is no member.
  const auto now = os::StatPath(calls, path);
  if (!now.ok()) return now.status();
  if ((now->mode & kGroupInherits) == 0) {
    return Unusable(path, absl::StrCat("cannot be shared with group ", group, ": uid ", geteuid(),
                                       " is no member of it"));
  }
  return absl::OkStatus();
}

}  // namespace spoolrpc::spool
