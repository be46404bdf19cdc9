// Files and names, with errors that say what was done to which path.
#ifndef SPOOLRPC_OS_FILE_H_
#define SPOOLRPC_OS_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/os/mapping_guard.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::os {

struct FileInfo {
  enum class Type { kFile, kDirectory, kOther };
  Type type;
  uint64_t device;
  uint64_t inode;
  uint64_t size;  // bytes
  uint32_t mode;  // permission bits, setuid, setgid and sticky included
  uint32_t uid;
  uint32_t gid;
  uint64_t links;
  int64_t modified_seconds;  // since the epoch, by the file server's clock
  int64_t modified_ns;       // the same in nanoseconds
};

struct OpenOptions {
  enum class Access { kRead, kWrite, kReadWrite };
  Access access = Access::kRead;
  // Create it; an error if anything of the name exists.
  bool create = false;
  uint32_t mode = 0600;  // of a created file, whatever the umask is
  // O_DIRECT: offsets, lengths and buffers must be multiples of 4096.
  bool direct = false;
  // O_DSYNC: a write returns when it is on the file system's server.
  bool data_sync = false;
  // O_NOATIME, where the kernel allows it: reading does not change the file's access time, which
  // costs a file system more than the reading.
  bool keep_access_time = false;
};

// Memory shared with whoever maps the same file. Unmapped by the destructor. Should the file
// shrink, or its disk fail, it becomes zeroed memory of this process alone (mapping_guard.h).
class Mapping {
 public:
  Mapping(SystemCalls* calls, void* address, size_t size)
      : calls_(calls), address_(address), size_(size), guard_(std::in_place, address, size) {}
  ~Mapping() {
    guard_.reset();
    calls_->Unmap(address_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // Makes all of it writable at once, or a part of it (whole pages) readable, where the kernel can:
  // otherwise each page is when it is first touched, which takes longer by far. A hint. Blocks as
  // the file system does.
  void PopulateForWriting() const;
  void PopulateForReading(size_t offset, size_t size) const;

  void* address() const { return address_; }
  size_t size() const { return size_; }
  // It is shared with nobody any more.
  bool lost() const { return guard_->lost(); }

 private:
  SystemCalls* const calls_;
  void* const address_;
  const size_t size_;
  std::optional<MappingGuard> guard_;
};

// An open file. Thread-safe, since every call names its offset. Closed by the destructor.
class File {
 public:
  File(SystemCalls* calls, int fd, std::string path)
      : calls_(calls), fd_(fd), path_(std::move(path)) {}
  ~File() {
    if (fd_ >= 0) calls_->Close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // Reads up to `count` bytes; fewer only at the end of the file.
  absl::StatusOr<size_t> ReadAt(uint64_t offset, char* buffer, size_t count) const;
  // Writes all of `data`, or fails: then any part of it may have been written.
  absl::Status WriteAt(uint64_t offset, absl::string_view data) const;
  // Returns when all that was written is on the file system's server (fdatasync).
  absl::Status SyncData() const;
  // The same, and the file's size and other metadata (fsync).
  absl::Status Sync() const;
  // Gives the file this size, with its blocks reserved, zeros where nothing was written.
  absl::Status Allocate(uint64_t size) const;
  absl::Status SetMode(uint32_t mode) const;
  absl::StatusOr<FileInfo> Stat() const;
  // Maps the first `size` bytes, for reading and writing, shared. The file must be that long.
  absl::StatusOr<std::unique_ptr<Mapping>> Map(size_t size) const;
  // The same for reading alone.
  absl::StatusOr<std::unique_ptr<Mapping>> MapForReading(size_t size) const;
  // Closes it now and reports what the kernel says (a network file system may fail only here).
  absl::Status Close();

  const std::string& path() const { return path_; }

 private:
  SystemCalls* const calls_;
  int fd_;
  const std::string path_;
};

// Opens without following a symbolic link in the last component, and without blocking on a FIFO;
// closed on exec.
absl::StatusOr<std::unique_ptr<File>> OpenFile(SystemCalls* calls, const std::string& path,
                                               const OpenOptions& options);

// Of the name itself: symbolic links are not followed.
absl::StatusOr<FileInfo> StatPath(SystemCalls* calls, const std::string& path);
absl::Status MakeDirectory(SystemCalls* calls, const std::string& path, uint32_t mode);
// Sets the mode whatever the umask was.
absl::Status SetMode(SystemCalls* calls, const std::string& path, uint32_t mode);
// Of the name itself; the owner stays.
absl::Status SetGroup(SystemCalls* calls, const std::string& path, uint32_t gid);
absl::Status RemoveFile(SystemCalls* calls, const std::string& path);
absl::Status RemoveDirectory(SystemCalls* calls, const std::string& path);
// Removes `path` and all below it; what is gone already is no error. Follows no symbolic link, not
// even one that takes a directory's place meanwhile. Refuses trees deeper than 32 directories.
absl::Status RemoveTree(SystemCalls* calls, const std::string& path);
absl::Status Rename(SystemCalls* calls, const std::string& from, const std::string& to);
absl::Status Link(SystemCalls* calls, const std::string& from, const std::string& to);
// The names in a directory, opened anew.
absl::StatusOr<std::vector<std::string>> ListDirectory(SystemCalls* calls, const std::string& path);
// Flushes a directory's entries (fsync of the directory).
absl::Status SyncDirectory(SystemCalls* calls, const std::string& path);
// The whole file, which must be a regular one of at most `limit` bytes.
absl::StatusOr<std::string> ReadWholeFile(SystemCalls* calls, const std::string& path,
                                          size_t limit);
// Creates `path`, which must not exist, with `content`; with `flush`, flushed.
absl::Status WriteNewFile(SystemCalls* calls, const std::string& path, absl::string_view content,
                          uint32_t mode, bool flush);

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_FILE_H_
