// Counts what the runtime asks of the file system: on a network one, operations are what a call
// costs, to oneself and to everybody else.
#ifndef SPOOLRPC_METRICS_COUNTING_SYSTEM_CALLS_H_
#define SPOOLRPC_METRICS_COUNTING_SYSTEM_CALLS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::metrics {

// One for each member of os::SystemCalls.
enum class FileOperation {
  kOpen,
  kClose,
  kPread,
  kPwrite,
  kFdatasync,
  kFsync,
  kFallocate,
  kFstat,
  kFchmod,
  kMap,
  kUnmap,
  kLstat,
  kStatfs,
  kMkdir,
  kChmod,
  kLchown,
  kRmdir,
  kUnlink,
  kRename,
  kLink,
  kList,
  kOpenAt,
  kUnlinkAt,
  kListAt,
};
constexpr int kFileOperations = static_cast<int>(FileOperation::kListAt) + 1;

// The name of the system call, such as "pread". A listing ("list") is an open and some getdents.
absl::string_view FileOperationName(FileOperation operation);

// How often each was asked for, whether it failed or not.
using FileOperationCounts = std::array<uint64_t, kFileOperations>;

// Passes every call on to another SystemCalls. Thread-safe; locks nothing.
class CountingSystemCalls final : public os::SystemCalls {
 public:
  // `below` must outlive it.
  explicit CountingSystemCalls(os::SystemCalls* below = os::SystemCalls::Real()) : below_(below) {}

  FileOperationCounts Counts() const;

  int Open(const char* path, int flags, mode_t mode) override;
  int Close(int fd) override;
  ssize_t Pread(int fd, void* buffer, size_t count, off_t offset) override;
  ssize_t Pwrite(int fd, const void* buffer, size_t count, off_t offset) override;
  int Fdatasync(int fd) override;
  int Fsync(int fd) override;
  int Fallocate(int fd, off_t length) override;
  int Fstat(int fd, struct stat* info) override;
  int Fchmod(int fd, mode_t mode) override;
  int Map(int fd, size_t length, void** address) override;
  int MapForReading(int fd, size_t length, void** address) override;
  int Madvise(void* address, size_t length, int advice) override;
  int Unmap(void* address, size_t length) override;
  int Lstat(const char* path, struct stat* info) override;
  int Statfs(const char* path, struct statfs* info) override;
  int Mkdir(const char* path, mode_t mode) override;
  int Chmod(const char* path, mode_t mode) override;
  int Lchown(const char* path, uid_t uid, gid_t gid) override;
  int Rmdir(const char* path) override;
  int Unlink(const char* path) override;
  int Rename(const char* from, const char* to) override;
  int Link(const char* from, const char* to) override;
  int List(const char* path, std::vector<std::string>* names) override;
  int OpenAt(int directory, const char* name, int flags) override;
  int UnlinkAt(int directory, const char* name, int flags) override;
  int ListAt(int directory, std::vector<std::string>* names) override;

 private:
  void Count(FileOperation operation) {
    counts_[static_cast<int>(operation)].fetch_add(1, std::memory_order_relaxed);
  }

  os::SystemCalls* const below_;
  std::atomic<uint64_t> counts_[kFileOperations] = {};
};

}  // namespace spoolrpc::metrics

#endif  // SPOOLRPC_METRICS_COUNTING_SYSTEM_CALLS_H_
