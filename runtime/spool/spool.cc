#include "spoolrpc/spool/spool.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/random.h"
#include "spoolrpc/spool/reason.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::spool {
namespace {

constexpr uint32_t kOwnerMode = 0700;
// Of the parents that are made for a shared spool: members get through.
constexpr uint32_t kPassMode = 0711;
constexpr uint32_t kPrivateInGroup = 02750;
constexpr uint32_t kSharedInGroup = 03770;
constexpr const char* kDirectories[] = {kServers, kSessions, kLogs, kDurable};

// Makes `path`, 0700, and its missing parents. Whoever makes the same at the same time is welcome.
absl::Status MakeDirectories(os::SystemCalls* calls, const std::string& path,
                             uint32_t parent_mode) {
  const absl::Status made = os::MakeDirectory(calls, path, kOwnerMode);
  if (made.ok() || absl::IsAlreadyExists(made)) return absl::OkStatus();
  if (!absl::IsNotFound(made)) return made;
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return made;
  const std::string above = path.substr(0, slash);
  if (absl::Status parent = MakeDirectories(calls, above, parent_mode); !parent.ok()) {
    return parent;
  }
  if (parent_mode != kOwnerMode) {
    const auto info = os::StatPath(calls, above);
    if (info.ok() && info->uid == geteuid() && info->mode == kOwnerMode) {
      if (absl::Status s = os::SetMode(calls, above, parent_mode); !s.ok()) return s;
    }
  }
  const absl::Status again = os::MakeDirectory(calls, path, kOwnerMode);
  return absl::IsAlreadyExists(again) ? absl::OkStatus() : again;
}

// `path` with a symbolic link in its last component resolved: the spool itself may be named by one.
std::string Resolve(const std::string& path) {
  char* const real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string resolved(real);
  free(real);
  return resolved;
}

absl::Status NotAllowed(const std::string& path, absl::string_view why) {
  return absl::PermissionDeniedError(absl::StrCat("spool ", path, ": ", why));
}

std::vector<uint32_t> ServerUids(const SpoolRecord& record) {
  return {record.server_uids().begin(), record.server_uids().end()};
}

// Publishes `record` as the spool's; `replace`: in place of what is there.
absl::Status WriteFormat(const os::Environment& env, const std::string& root,
                         const SpoolRecord& record, uint32_t mode, bool replace) {
  const std::string temporary = Join(root, os::TemporaryName(env.host->Self()));
  const std::string path = Join(root, kFormatFile);
  absl::Status status =
      os::WriteNewFile(env.calls, temporary, EncodeRecord(RecordKind::kSpool, record), mode, true);
  if (status.ok()) {
    status =
        replace ? os::Rename(env.calls, temporary, path) : os::Link(env.calls, temporary, path);
    // Somebody else made it at the same time; it is checked below like any other.
    if (absl::IsAlreadyExists(status)) status = absl::OkStatus();
  }
  os::RemoveFile(env.calls, temporary).IgnoreError();
  return status;
}

absl::StatusOr<SpoolRecord> ReadFormat(const os::Environment& env, const std::string& root,
                                       const SpoolOwner& owner) {
  const std::string path = Join(root, kFormatFile);
  const auto check = [&](const os::FileInfo& info) {
    return CheckSpoolEntryOwner(owner, path, info);
  };
  SpoolRecord record;
  if (absl::Status read = ReadRecordIf(env.calls, path, RecordKind::kSpool, check, &record);
      !read.ok()) {
    if (!absl::IsPermissionDenied(read)) return read;
    return NotAllowed(
        root, owner.group.has_value()
                  ? absl::StrCat("is shared with group ", *owner.group, ", of which uid ",
                                 geteuid(), " is no member; ask uid ", owner.uid,
                                 " or the administrator, and log in anew after having been added (",
                                 read.message(), ")")
                  : std::string(read.message()));
  }
  if (record.format_version() != kSpoolFormatVersion) {
    return WithReason(Unusable(root, absl::StrCat("has format version ", record.format_version(),
                                                  ", this software (", kSoftwareVersion,
                                                  ") knows version ", kSpoolFormatVersion,
                                                  "; use the newer software, or another spool")),
                      ErrorInfo::VERSION_MISMATCH);
  }
  return record;
}

// Makes what is missing in the spool's directory. Only who owns it, or root, gets here.
absl::Status Complete(const os::Environment& env, const std::string& root, SpoolOwner* owner,
                      const SpoolAccess& access) {
  const bool group = access.group.has_value() || owner->group.has_value();
  if (access.group.has_value() && owner->group.has_value() && owner->group != access.group) {
    return Unusable(root, absl::StrCat("is shared with group ", *owner->group, ", not with ",
                                       *access.group, "; serve another spool, or chgrp -R ",
                                       *access.group, " this one while nobody uses it"));
  }
  // 1. What is made in it belongs to the group; 2. all that is in it; 3. members may come.
  if (access.group.has_value()) {
    if (absl::Status s = ShareWithGroup(env.calls, root, *access.group, /*open=*/false); !s.ok()) {
      return s;
    }
    owner->group = access.group;
  }
  for (const char* name : kDirectories) {
    const std::string path = Join(root, name);
    const absl::Status made = os::MakeDirectory(env.calls, path, kOwnerMode);
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
    // (Also where its owner has shared the spool by a chmod.)
    if (group) {
      if (absl::Status s = ShareWithGroup(env.calls, path, *owner->group, /*open=*/true); !s.ok()) {
        return s;
      }
    }
  }
  auto record = ReadFormat(env, root, *owner);
  if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
  const uint32_t mode = group ? 0640 : 0600;
  if (!record.ok()) {
    SpoolRecord fresh;
    fresh.set_format_version(kSpoolFormatVersion);
    fresh.set_spool_id(os::RandomBytes(kIdSize));
    fresh.set_created_by(absl::StrCat("spoolrpc ", kSoftwareVersion));
    if (access.server_uids.has_value()) {
      fresh.mutable_server_uids()->Add(access.server_uids->begin(), access.server_uids->end());
    }
    if (absl::Status s = WriteFormat(env, root, fresh, mode, /*replace=*/false); !s.ok()) return s;
  } else {
    const auto info = os::StatPath(env.calls, Join(root, kFormatFile));
    if (!info.ok()) return info.status();
    const bool lists = access.server_uids.has_value() && *access.server_uids != ServerUids(*record);
    const bool hidden = group && (info->mode != mode || info->gid != owner->group);
    if (lists || hidden) {
      if (lists) {
        record->clear_server_uids();
        record->mutable_server_uids()->Add(access.server_uids->begin(), access.server_uids->end());
      }
      if (absl::Status s = WriteFormat(env, root, *record, mode, /*replace=*/true); !s.ok()) {
        return s;
      }
    }
  }
  return access.group.has_value() ? ShareWithGroup(env.calls, root, *access.group, /*open=*/true)
                                  : absl::OkStatus();
}

}  // namespace

bool Spool::MayServe(uint32_t uid) const {
  return uid == owner_.uid || uid == 0 ||
         std::find(server_uids_.begin(), server_uids_.end(), uid) != server_uids_.end();
}

absl::Status Spool::MakeDirectory(const std::string& path) const {
  if (absl::Status s = os::MakeDirectory(env_.calls, path, kOwnerMode); !s.ok()) return s;
  return group().has_value() ? os::SetMode(env_.calls, path, kPrivateInGroup) : absl::OkStatus();
}

absl::Status Spool::MakeSharedDirectory(const std::string& path) const {
  if (absl::Status s = os::MakeDirectory(env_.calls, path, kOwnerMode); !s.ok()) return s;
  return group().has_value() ? os::SetMode(env_.calls, path, kSharedInGroup) : absl::OkStatus();
}

std::string Spool::TemporaryPath(const std::string& directory) const {
  return Join(directory, os::TemporaryName(env_.host->Self()));
}

void Spool::Touch(const std::string& directory) const {
  const std::string path = TemporaryPath(directory);
  os::OpenOptions options;
  options.access = os::OpenOptions::Access::kWrite;
  options.create = true;
  options.mode = 0600;
  auto file = os::OpenFile(env_.calls, path, options);
  if (!file.ok()) return;
  // Through FUSE a close arrives some time after it was made. A removal that it meets half-way
  // makes libfuse leave the file behind as .fuse_hiddenN, for ever; that of an open file does not.
  if (file_system_.name != "fuse") (*file)->Close().IgnoreError();
  os::RemoveFile(env_.calls, path).IgnoreError();
}

absl::StatusOr<std::shared_ptr<const Spool>> Spool::Open(const os::Environment& env,
                                                         const std::string& root,
                                                         Transport transport) {
  const std::string resolved = Resolve(root);
  const auto owner = CheckSpoolDirectory(env.calls, resolved);
  if (!owner.ok()) return owner.status();
  if (!owner->group.has_value() && owner->uid != geteuid() && geteuid() != 0) {
    return NotAllowed(resolved,
                      absl::StrCat("is uid ", owner->uid, "'s alone, and this is uid ", geteuid(),
                                   "; he may share it with a group "
                                   "(ServerBuilder::set_group), or use one of your own"));
  }
  const auto record = ReadFormat(env, resolved, *owner);
  if (!record.ok()) return record.status();
  for (const char* name : kDirectories) {
    if (absl::Status s = CheckSpoolEntry(env.calls, *owner, Join(resolved, name)); !s.ok()) {
      return s;
    }
  }
  auto type = os::DescribeFileSystem(env.calls, resolved);
  if (!type.ok()) return type.status();
  auto spool = std::shared_ptr<Spool>(new Spool);
  spool->env_ = env;
  spool->root_ = resolved;
  spool->owner_ = *owner;
  spool->server_uids_ = ServerUids(*record);
  spool->file_system_ = *type;
  spool->network_ =
      transport == Transport::kNetwork || (transport == Transport::kAuto && !type->local);
  // How to read depends on the file system itself: an O_DIRECT poller on ext4 makes the writer
  // thousands of times slower, and a plain one on NFS sees what is seconds old.
  spool->access_.direct_reads = !type->local;
  spool->access_.flushed_writes = !type->local;
  spool->access_.max_write = type->max_write;
  return std::shared_ptr<const Spool>(spool);
}

absl::StatusOr<std::shared_ptr<const Spool>> Spool::OpenOrCreate(const os::Environment& env,
                                                                 const std::string& root,
                                                                 Transport transport,
                                                                 const SpoolAccess& access) {
  if (absl::Status made =
          MakeDirectories(env.calls, root, access.group.has_value() ? kPassMode : kOwnerMode);
      !made.ok()) {
    return made;
  }
  const std::string resolved = Resolve(root);
  auto owner = CheckSpoolDirectory(env.calls, resolved);
  if (!owner.ok()) return owner.status();
  if (owner->uid == geteuid() || geteuid() == 0) {
    if (absl::Status s = Complete(env, resolved, &*owner, access); !s.ok()) return s;
    return Open(env, resolved, transport);
  }
  // Another user's: he may have listed this one.
  if (owner->group.has_value()) {
    auto spool = Open(env, resolved, transport);
    if (!spool.ok() || (*spool)->MayServe(geteuid())) return spool;
  }
  return Unusable(
      resolved, absl::StrCat("belongs to uid ", owner->uid,
                             ", and a server must run as the spool's owner, or as a user whom the "
                             "owner has listed (ServerBuilder::set_server_uids); this is uid ",
                             geteuid()));
}

}  // namespace spoolrpc::spool
