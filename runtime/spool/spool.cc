#include "spoolrpc/spool/spool.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/random.h"
#include "spoolrpc/spool/reason.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::spool {
namespace {

constexpr uint32_t kOwnerMode = 0700;

absl::Status Unusable(const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat("spool ", path, ": ", why));
}

// Makes `path` and its missing parents, 0700. Whoever makes the same at the same time is welcome.
absl::Status MakeDirectories(os::SystemCalls* calls, const std::string& path) {
  const absl::Status made = os::MakeDirectory(calls, path, kOwnerMode);
  if (made.ok() || absl::IsAlreadyExists(made)) return absl::OkStatus();
  if (!absl::IsNotFound(made)) return made;
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return made;
  if (absl::Status parent = MakeDirectories(calls, path.substr(0, slash)); !parent.ok()) {
    return parent;
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

absl::StatusOr<os::FileInfo> CheckDirectory(os::SystemCalls* calls, const std::string& path) {
  auto info = os::StatPath(calls, path);
  if (!info.ok()) return info.status();
  if (info->type != os::FileInfo::Type::kDirectory) {
    return Unusable(path,
                    "is not a directory; give the path of a directory, or one that does not "
                    "exist yet");
  }
  if ((info->mode & 0002) != 0) {
    return Unusable(path, absl::StrFormat("has mode %04o: everybody may write to it; chmod 700 it",
                                          info->mode));
  }
  if ((info->mode & 0020) != 0 && (info->mode & 03000) != 03000) {
    return Unusable(path,
                    absl::StrFormat("has mode %04o: its group may write to it and remove others' "
                                    "files; chmod 700 it, or chmod 3770 to share it with the group",
                                    info->mode));
  }
  return info;
}

absl::Status WriteFormat(const os::Environment& env, const Spool& spool) {
  SpoolRecord record;
  record.set_format_version(kSpoolFormatVersion);
  record.set_spool_id(os::RandomBytes(kIdSize));
  record.set_created_by(absl::StrCat("spoolrpc ", kSoftwareVersion));
  const std::string temporary = spool.TemporaryPath(spool.root());
  absl::Status status =
      os::WriteNewFile(env.calls, temporary, EncodeRecord(RecordKind::kSpool, record), 0600, true);
  if (status.ok()) {
    status = os::Link(env.calls, temporary, Join(spool.root(), kFormatFile));
    // Somebody else made it at the same time; it is checked below like any other.
    if (absl::IsAlreadyExists(status)) status = absl::OkStatus();
  }
  os::RemoveFile(env.calls, temporary).IgnoreError();
  return status;
}

absl::Status CheckFormat(const os::Environment& env, const std::string& root) {
  const std::string path = Join(root, kFormatFile);
  SpoolRecord record;
  if (absl::Status read = ReadRecord(env.calls, path, RecordKind::kSpool, &record); !read.ok()) {
    return read;
  }
  if (record.format_version() != kSpoolFormatVersion) {
    return WithReason(Unusable(root, absl::StrCat("has format version ", record.format_version(),
                                                  ", this software (", kSoftwareVersion,
                                                  ") knows version ", kSpoolFormatVersion,
                                                  "; use the newer software, or another spool")),
                      ErrorInfo::VERSION_MISMATCH);
  }
  return absl::OkStatus();
}

}  // namespace

std::string Spool::TemporaryPath(const std::string& directory) const {
  return Join(directory, os::TemporaryName(env_.host->Self()));
}

void Spool::Touch(const std::string& directory) const {
  const std::string path = TemporaryPath(directory);
  if (os::WriteNewFile(env_.calls, path, "", 0600, false).ok()) {
    os::RemoveFile(env_.calls, path).IgnoreError();
  }
}

absl::StatusOr<std::shared_ptr<const Spool>> Spool::Open(const os::Environment& env,
                                                         const std::string& root,
                                                         Transport transport) {
  const std::string resolved = Resolve(root);
  const auto info = CheckDirectory(env.calls, resolved);
  if (!info.ok()) return info.status();
  if (absl::Status format = CheckFormat(env, resolved); !format.ok()) return format;
  auto type = os::DescribeFileSystem(env.calls, resolved);
  if (!type.ok()) return type.status();
  auto spool = std::shared_ptr<Spool>(new Spool);
  spool->env_ = env;
  spool->root_ = resolved;
  spool->owner_ = info->uid;
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
                                                                 Transport transport) {
  if (absl::Status made = MakeDirectories(env.calls, root); !made.ok()) return made;
  const std::string resolved = Resolve(root);
  const auto info = CheckDirectory(env.calls, resolved);
  if (!info.ok()) return info.status();
  if (info->uid != geteuid() && geteuid() != 0) {
    return Unusable(resolved, absl::StrCat("belongs to uid ", info->uid,
                                           ", and a server must run as the spool's owner; this is "
                                           "uid ",
                                           geteuid()));
  }
  for (const char* name : {kServers, kSessions, kLogs, kDurable}) {
    const std::string path = Join(resolved, name);
    const absl::Status made = os::MakeDirectory(env.calls, path, kOwnerMode);
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  }
  if (absl::IsNotFound(CheckFormat(env, resolved))) {
    Spool bare;
    bare.env_ = env;
    bare.root_ = resolved;
    if (absl::Status written = WriteFormat(env, bare); !written.ok()) return written;
  }
  return Open(env, resolved, transport);
}

}  // namespace spoolrpc::spool
