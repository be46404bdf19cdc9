#include "spoolrpc/metrics/counting_system_calls.h"

namespace spoolrpc::metrics {

absl::string_view FileOperationName(FileOperation operation) {
  switch (operation) {
    case FileOperation::kOpen:
      return "open";
    case FileOperation::kClose:
      return "close";
    case FileOperation::kPread:
      return "pread";
    case FileOperation::kPwrite:
      return "pwrite";
    case FileOperation::kFdatasync:
      return "fdatasync";
    case FileOperation::kFsync:
      return "fsync";
    case FileOperation::kFallocate:
      return "fallocate";
    case FileOperation::kFstat:
      return "fstat";
    case FileOperation::kFchmod:
      return "fchmod";
    case FileOperation::kMap:
      return "mmap";
    case FileOperation::kUnmap:
      return "munmap";
    case FileOperation::kLstat:
      return "lstat";
    case FileOperation::kStatfs:
      return "statfs";
    case FileOperation::kMkdir:
      return "mkdir";
    case FileOperation::kChmod:
      return "chmod";
    case FileOperation::kLchown:
      return "lchown";
    case FileOperation::kRmdir:
      return "rmdir";
    case FileOperation::kUnlink:
      return "unlink";
    case FileOperation::kRename:
      return "rename";
    case FileOperation::kLink:
      return "link";
    case FileOperation::kList:
      return "list";
    case FileOperation::kOpenAt:
      return "openat";
    case FileOperation::kUnlinkAt:
      return "unlinkat";
    case FileOperation::kListAt:
      return "listat";
  }
  return "other";
}

FileOperationCounts CountingSystemCalls::Counts() const {
  FileOperationCounts counts;
  for (int i = 0; i < kFileOperations; ++i) counts[i] = counts_[i].load(std::memory_order_relaxed);
  return counts;
}

int CountingSystemCalls::Open(const char* path, int flags, mode_t mode) {
  Count(FileOperation::kOpen);
  return below_->Open(path, flags, mode);
}

int CountingSystemCalls::Close(int fd) {
  Count(FileOperation::kClose);
  return below_->Close(fd);
}

ssize_t CountingSystemCalls::Pread(int fd, void* buffer, size_t count, off_t offset) {
  Count(FileOperation::kPread);
  return below_->Pread(fd, buffer, count, offset);
}

ssize_t CountingSystemCalls::Pwrite(int fd, const void* buffer, size_t count, off_t offset) {
  Count(FileOperation::kPwrite);
  return below_->Pwrite(fd, buffer, count, offset);
}

int CountingSystemCalls::Fdatasync(int fd) {
  Count(FileOperation::kFdatasync);
  return below_->Fdatasync(fd);
}

int CountingSystemCalls::Fsync(int fd) {
  Count(FileOperation::kFsync);
  return below_->Fsync(fd);
}

int CountingSystemCalls::Fallocate(int fd, off_t length) {
  Count(FileOperation::kFallocate);
  return below_->Fallocate(fd, length);
}

int CountingSystemCalls::Fstat(int fd, struct stat* info) {
  Count(FileOperation::kFstat);
  return below_->Fstat(fd, info);
}

int CountingSystemCalls::Fchmod(int fd, mode_t mode) {
  Count(FileOperation::kFchmod);
  return below_->Fchmod(fd, mode);
}

int CountingSystemCalls::Map(int fd, size_t length, void** address) {
  Count(FileOperation::kMap);
  return below_->Map(fd, length, address);
}

int CountingSystemCalls::MapForReading(int fd, size_t length, void** address) {
  Count(FileOperation::kMap);
  return below_->MapForReading(fd, length, address);
}

int CountingSystemCalls::Madvise(void* address, size_t length, int advice) {
  // (Of a mapping that was counted.)
  return below_->Madvise(address, length, advice);
}

int CountingSystemCalls::Unmap(void* address, size_t length) {
  Count(FileOperation::kUnmap);
  return below_->Unmap(address, length);
}

int CountingSystemCalls::Lstat(const char* path, struct stat* info) {
  Count(FileOperation::kLstat);
  return below_->Lstat(path, info);
}

int CountingSystemCalls::Statfs(const char* path, struct statfs* info) {
  Count(FileOperation::kStatfs);
  return below_->Statfs(path, info);
}

int CountingSystemCalls::Mkdir(const char* path, mode_t mode) {
  Count(FileOperation::kMkdir);
  return below_->Mkdir(path, mode);
}

int CountingSystemCalls::Chmod(const char* path, mode_t mode) {
  Count(FileOperation::kChmod);
  return below_->Chmod(path, mode);
}

int CountingSystemCalls::Lchown(const char* path, uid_t uid, gid_t gid) {
  Count(FileOperation::kLchown);
  return below_->Lchown(path, uid, gid);
}

int CountingSystemCalls::Rmdir(const char* path) {
  Count(FileOperation::kRmdir);
  return below_->Rmdir(path);
}

int CountingSystemCalls::Unlink(const char* path) {
  Count(FileOperation::kUnlink);
  return below_->Unlink(path);
}

int CountingSystemCalls::Rename(const char* from, const char* to) {
  Count(FileOperation::kRename);
  return below_->Rename(from, to);
}

int CountingSystemCalls::Link(const char* from, const char* to) {
  Count(FileOperation::kLink);
  return below_->Link(from, to);
}

int CountingSystemCalls::List(const char* path, std::vector<std::string>* names) {
  Count(FileOperation::kList);
  return below_->List(path, names);
}

int CountingSystemCalls::OpenAt(int directory, const char* name, int flags) {
  Count(FileOperation::kOpenAt);
  return below_->OpenAt(directory, name, flags);
}

int CountingSystemCalls::UnlinkAt(int directory, const char* name, int flags) {
  Count(FileOperation::kUnlinkAt);
  return below_->UnlinkAt(directory, name, flags);
}

int CountingSystemCalls::ListAt(int directory, std::vector<std::string>* names) {
  Count(FileOperation::kListAt);
  return below_->ListAt(directory, names);
}

}  // namespace spoolrpc::metrics
