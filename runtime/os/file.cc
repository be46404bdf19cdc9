#include "spoolrpc/os/file.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::os {
namespace {

// Repeats `call` while it is interrupted.
template <class Call>
auto Retrying(Call call) {
  auto result = call();
  while (result == -EINTR) result = call();
  return result;
}

absl::Status Check(int result, absl::string_view operation, absl::string_view path) {
  if (result < 0) return ErrnoToStatus(-result, operation, path);
  return absl::OkStatus();
}

FileInfo ToFileInfo(const struct stat& s) {
  FileInfo info;
  info.type = S_ISREG(s.st_mode)   ? FileInfo::Type::kFile
              : S_ISDIR(s.st_mode) ? FileInfo::Type::kDirectory
                                   : FileInfo::Type::kOther;
  info.device = s.st_dev;
  info.inode = s.st_ino;
  info.size = s.st_size;
  info.mode = s.st_mode & 07777;
  info.uid = s.st_uid;
  info.gid = s.st_gid;
  info.links = s.st_nlink;
  info.modified_seconds = s.st_mtime;
  info.modified_ns = int64_t{s.st_mtim.tv_sec} * 1000000000 + s.st_mtim.tv_nsec;
  return info;
}

// Linux 5.14; in newer headers MADV_POPULATE_READ and MADV_POPULATE_WRITE.
constexpr int kPopulateRead = 22;
constexpr int kPopulateWrite = 23;

constexpr int kOpenDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
// Deeper than any tree of a spool. A hostile one costs a descriptor and a stack frame a level.
constexpr int kMaxTreeDepth = 32;
constexpr int kStaleAttempts = 3;

absl::Status GoneIsFine(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// Removes what is in the directory that `fd` holds open; `path` is for messages alone. Whoever owns
// a directory of the tree can replace it by a symbolic link at any moment: names are looked up only
// in directories held open, so that nothing outside the tree is ever removed. Others may remove the
// same tree, or still add to it, at the same time: it goes on over names that are gone, and returns
// the first error that is none of that.
absl::Status RemoveAllIn(SystemCalls* calls, int fd, const std::string& path, int depth) {
  std::vector<std::string> names;
  const int listed = Retrying([&] { return calls->ListAt(fd, &names); });
  if (listed == -ENOENT) return absl::OkStatus();
  if (listed < 0) return ErrnoToStatus(-listed, "list", path);
  absl::Status first;
  for (const std::string& name : names) {
    const std::string child = absl::StrCat(path, "/", name);
    const int removed = Retrying([&] { return calls->UnlinkAt(fd, name.c_str(), 0); });
    if (removed != -EISDIR) {
      first.Update(GoneIsFine(Check(removed, "remove", child)));
      continue;
    }
    if (depth == kMaxTreeDepth) {
      first.Update(absl::FailedPreconditionError(
          absl::StrCat("remove ", child, ": more than ", kMaxTreeDepth, " directories deep")));
      continue;
    }
    const int inner =
        Retrying([&] { return calls->OpenAt(fd, name.c_str(), kOpenDirectoryFlags); });
    if (inner < 0) {
      first.Update(GoneIsFine(Check(inner, "open", child)));
      continue;
    }
    first.Update(RemoveAllIn(calls, inner, child, depth + 1));
    calls->Close(inner);
    first.Update(
        GoneIsFine(Check(Retrying([&] { return calls->UnlinkAt(fd, name.c_str(), AT_REMOVEDIR); }),
                         "remove directory", child)));
  }
  return first;
}

}  // namespace

void Mapping::PopulateForWriting() const { calls_->Madvise(address_, size_, kPopulateWrite); }

void Mapping::PopulateForReading(size_t offset, size_t size) const {
  calls_->Madvise(static_cast<char*>(address_) + offset, size, kPopulateRead);
}

absl::StatusOr<size_t> File::ReadAt(uint64_t offset, char* buffer, size_t count) const {
  size_t have = 0;
  while (have < count) {
    const ssize_t got =
        Retrying([&] { return calls_->Pread(fd_, buffer + have, count - have, offset + have); });
    if (got == 0) break;
    // A direct read that ended within a block has met the end of the file; some file systems then
    // refuse to go on at an offset that is not a multiple of the block.
    if (got == -EINVAL && have % 512 != 0) break;
    if (got < 0) return ErrnoToStatus(static_cast<int>(-got), "read", path_);
    have += got;
  }
  return have;
}

absl::Status File::WriteAt(uint64_t offset, absl::string_view data) const {
  while (!data.empty()) {
    const ssize_t put =
        Retrying([&] { return calls_->Pwrite(fd_, data.data(), data.size(), offset); });
    if (put < 0) return ErrnoToStatus(static_cast<int>(-put), "write", path_);
    if (put == 0) return ErrnoToStatus(EIO, "write (nothing was written)", path_);
    data.remove_prefix(put);
    offset += put;
  }
  return absl::OkStatus();
}

absl::Status File::SyncData() const {
  return Check(Retrying([&] { return calls_->Fdatasync(fd_); }), "flush", path_);
}

absl::Status File::Sync() const {
  return Check(Retrying([&] { return calls_->Fsync(fd_); }), "flush", path_);
}

absl::Status File::Allocate(uint64_t size) const {
  return Check(Retrying([&] { return calls_->Fallocate(fd_, size); }), "allocate", path_);
}

absl::Status File::SetMode(uint32_t mode) const {
  return Check(Retrying([&] { return calls_->Fchmod(fd_, mode); }), "set mode of", path_);
}

absl::StatusOr<FileInfo> File::Stat() const {
  struct stat s;
  const int result = Retrying([&] { return calls_->Fstat(fd_, &s); });
  if (result < 0) return ErrnoToStatus(-result, "stat", path_);
  return ToFileInfo(s);
}

absl::StatusOr<std::unique_ptr<Mapping>> File::Map(size_t size) const {
  void* address = nullptr;
  const int result = Retrying([&] { return calls_->Map(fd_, size, &address); });
  if (result < 0) return ErrnoToStatus(-result, "map", path_);
  return std::make_unique<Mapping>(calls_, address, size);
}

absl::StatusOr<std::unique_ptr<Mapping>> File::MapForReading(size_t size) const {
  void* address = nullptr;
  const int result = Retrying([&] { return calls_->MapForReading(fd_, size, &address); });
  if (result < 0) return ErrnoToStatus(-result, "map", path_);
  return std::make_unique<Mapping>(calls_, address, size);
}

absl::Status File::Close() {
  const int fd = fd_;
  fd_ = -1;
  if (fd < 0) return absl::OkStatus();
  return Check(calls_->Close(fd), "close", path_);
}

absl::StatusOr<std::unique_ptr<File>> OpenFile(SystemCalls* calls, const std::string& path,
                                               const OpenOptions& options) {
  int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  switch (options.access) {
    case OpenOptions::Access::kRead:
      flags |= O_RDONLY;
      break;
    case OpenOptions::Access::kWrite:
      flags |= O_WRONLY;
      break;
    case OpenOptions::Access::kReadWrite:
      flags |= O_RDWR;
      break;
  }
  if (options.create) flags |= O_CREAT | O_EXCL;
  if (options.direct) flags |= O_DIRECT;
  if (options.data_sync) flags |= O_DSYNC;
  if (options.keep_access_time) flags |= O_NOATIME;
  int fd = Retrying([&] { return calls->Open(path.c_str(), flags, options.mode); });
  if (fd == -EPERM && options.keep_access_time) {
    // Another user's.
    flags &= ~O_NOATIME;
    fd = Retrying([&] { return calls->Open(path.c_str(), flags, options.mode); });
  }
  if (fd < 0) return ErrnoToStatus(-fd, options.create ? "create" : "open", path);
  auto file = std::make_unique<File>(calls, fd, path);
  // The umask may have taken away what a group was to have.
  if (options.create && (options.mode & 077) != 0) {
    if (absl::Status set = file->SetMode(options.mode); !set.ok()) return set;
  }
  return file;
}

absl::StatusOr<FileInfo> StatPath(SystemCalls* calls, const std::string& path) {
  struct stat s;
  const int result = Retrying([&] { return calls->Lstat(path.c_str(), &s); });
  if (result < 0) return ErrnoToStatus(-result, "stat", path);
  return ToFileInfo(s);
}

absl::Status MakeDirectory(SystemCalls* calls, const std::string& path, uint32_t mode) {
  return Check(Retrying([&] { return calls->Mkdir(path.c_str(), mode); }), "make directory", path);
}

absl::Status SetMode(SystemCalls* calls, const std::string& path, uint32_t mode) {
  return Check(Retrying([&] { return calls->Chmod(path.c_str(), mode); }), "set mode of", path);
}

absl::Status SetGroup(SystemCalls* calls, const std::string& path, uint32_t gid) {
  constexpr auto kSame = static_cast<uid_t>(-1);
  return Check(Retrying([&] { return calls->Lchown(path.c_str(), kSame, gid); }), "set group of",
               path);
}

absl::Status RemoveFile(SystemCalls* calls, const std::string& path) {
  return Check(Retrying([&] { return calls->Unlink(path.c_str()); }), "remove", path);
}

absl::Status RemoveDirectory(SystemCalls* calls, const std::string& path) {
  return Check(Retrying([&] { return calls->Rmdir(path.c_str()); }), "remove directory", path);
}

absl::Status RemoveTree(SystemCalls* calls, const std::string& path) {
  const auto info = StatPath(calls, path);
  if (absl::IsNotFound(info.status())) return absl::OkStatus();
  if (!info.ok()) return info.status();
  if (info->type != FileInfo::Type::kDirectory) return GoneIsFine(RemoveFile(calls, path));
  const int fd = Retrying([&] { return calls->Open(path.c_str(), kOpenDirectoryFlags, 0); });
  if (fd == -ENOENT) return absl::OkStatus();
  if (fd < 0) return ErrnoToStatus(-fd, "open", path);
  absl::Status first = RemoveAllIn(calls, fd, path, 1);
  calls->Close(fd);
  first.Update(GoneIsFine(RemoveDirectory(calls, path)));
  return first;
}

absl::Status Rename(SystemCalls* calls, const std::string& from, const std::string& to) {
  return Check(Retrying([&] { return calls->Rename(from.c_str(), to.c_str()); }),
               absl::StrCat("rename ", from, " to"), to);
}

absl::Status Link(SystemCalls* calls, const std::string& from, const std::string& to) {
  return Check(Retrying([&] { return calls->Link(from.c_str(), to.c_str()); }),
               absl::StrCat("link ", from, " to"), to);
}

absl::StatusOr<std::vector<std::string>> ListDirectory(SystemCalls* calls,
                                                       const std::string& path) {
  std::vector<std::string> names;
  int result = 0;
  for (int attempt = 0; attempt < kStaleAttempts; ++attempt) {
    names.clear();
    result = Retrying([&] { return calls->List(path.c_str(), &names); });
    if (result != -ESTALE) break;
    // The client of a network file system has an old notion of it, which looking at where it is
    // mends.
    const std::string above = path.substr(0, std::max<size_t>(1, path.rfind('/')));
    std::vector<std::string> unused;
    Retrying([&] { return calls->List(above.c_str(), &unused); });
  }
  if (result < 0) return ErrnoToStatus(-result, "list", path);
  return names;
}

absl::Status SyncDirectory(SystemCalls* calls, const std::string& path) {
  const int fd =
      Retrying([&] { return calls->Open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); });
  if (fd < 0) return ErrnoToStatus(-fd, "open", path);
  File directory(calls, fd, path);
  absl::Status synced = directory.Sync();
  // Some FUSE file systems have no fsync for directories; their entries are on the server at once.
  const int error = ErrnoOf(synced);
  if (error == EINVAL || error == ENOSYS || error == EOPNOTSUPP) return absl::OkStatus();
  return synced;
}

absl::StatusOr<std::string> ReadWholeFile(SystemCalls* calls, const std::string& path,
                                          size_t limit) {
  auto file = OpenFile(calls, path, OpenOptions{});
  if (!file.ok()) return file.status();
  const auto info = (*file)->Stat();
  if (!info.ok()) return info.status();
  if (info->type != FileInfo::Type::kFile) {
    return absl::FailedPreconditionError(absl::StrCat("read ", path, ": not a regular file"));
  }
  if (info->size > limit) {
    return absl::DataLossError(absl::StrCat("read ", path, ": ", info->size,
                                            " bytes, more than the ", limit, " that it may have"));
  }
  std::string content(info->size, '\0');
  const auto got = (*file)->ReadAt(0, content.data(), content.size());
  if (!got.ok()) return got.status();
  content.resize(*got);
  return content;
}

absl::Status WriteNewFile(SystemCalls* calls, const std::string& path, absl::string_view content,
                          uint32_t mode, bool flush) {
  OpenOptions options;
  options.access = OpenOptions::Access::kWrite;
  options.create = true;
  options.mode = mode;
  auto file = OpenFile(calls, path, options);
  if (!file.ok()) return file.status();
  if (absl::Status written = (*file)->WriteAt(0, content); !written.ok()) return written;
  if (flush) {
    if (absl::Status synced = (*file)->Sync(); !synced.ok()) return synced;
  }
  return (*file)->Close();
}

}  // namespace spoolrpc::os
