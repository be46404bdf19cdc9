// A file system in memory that several clients share, as those of a network file system do, so that
// what one host sees late or never, and what a crash loses, can be had in one process.
#ifndef SPOOLRPC_TESTS_TESTING_MEMORY_FILE_SYSTEM_H_
#define SPOOLRPC_TESTS_TESTING_MEMORY_FILE_SYSTEM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::testing {

struct MemoryClientOptions {
  // False: everything is seen at once, files can be mapped, and statfs says "tmpfs".
  //
  // True: as measured on NFS. statfs says so, and nothing can be mapped. What is written is seen by
  // others only after a flush (fdatasync, fsync, close) or at once with O_DSYNC or O_DIRECT. A
  // descriptor without O_DIRECT reads the file as it was when this client last opened it, and what
  // this client wrote. A name that was looked up in vain stays missing until this client lists the
  // directory or makes the name itself. Reading a file that another client removed is ESTALE, while
  // writing it seems to go well.
  bool network = false;
  uint32_t uid = 1000;  // of what it creates
  uint32_t gid = 1000;

  // What statfs tells; nothing about space and inodes if they are not given.
  uint64_t block_size = 1048576;  // of a network file system; its wsize
  std::optional<uint64_t> free_bytes;
  std::optional<uint64_t> free_inodes;

  // --- What no file system that can be used does.

  // False: opening with O_DIRECT is EINVAL.
  bool direct = true;
  // A descriptor reads with O_DIRECT what it would read without.
  bool stale_direct_reads = false;
  // open with O_CREAT and O_EXCL, link and mkdir succeed where there is something of the name.
  bool lax_names = false;
  // If not empty: a directory whose path ends in this lists for ever as when this client listed it
  // first.
  std::string stale_listings = {};
};

class MemoryClient;

// Holds directories and regular files below "/", which exists. There are no symbolic links, no
// permission checks and no "..". Thread-safe; nothing ever blocks. Must outlive its clients.
class MemoryFileSystem {
 public:
  // Times of files are `clock`'s.
  explicit MemoryFileSystem(const os::Clock* clock = os::Clock::Real());
  ~MemoryFileSystem();

  std::unique_ptr<MemoryClient> NewClient(const MemoryClientOptions& options = {});

  // Makes another uid the owner of `path`, which must exist.
  void SetOwner(const std::string& path, uint32_t uid);

 private:
  friend class MemoryClient;
  struct Inode;
  using InodePtr = std::shared_ptr<Inode>;

  // 0 or -errno. `path` is absolute.
  int Find(absl::string_view path, InodePtr* inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The directory that `path` lies in, and its last component.
  int FindParent(absl::string_view path, InodePtr* parent, std::string* name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  InodePtr NewInode(uint32_t mode, uint32_t uid, uint32_t gid)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t Seconds() const;

  const os::Clock* const clock_;
  absl::Mutex mutex_;
  uint64_t next_inode_ ABSL_GUARDED_BY(mutex_) = 1;
  int next_fd_ ABSL_GUARDED_BY(mutex_) = 1 << 24;  // unlike any of the kernel's
  InodePtr root_ ABSL_GUARDED_BY(mutex_);
};

// One host's view. Thread-safe.
class MemoryClient final : public os::SystemCalls {
 public:
  ~MemoryClient() override;

  // The host dies: its descriptors are closed, and what it wrote and did not flush is lost. It can
  // be used again, as after a reboot.
  void Crash();

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
  friend class MemoryFileSystem;
  using InodePtr = MemoryFileSystem::InodePtr;
  // What this client knows of a file's content (network alone).
  struct Cache {
    std::string seen;                                     // as of its last opening, and own writes
    std::vector<std::pair<uint64_t, std::string>> dirty;  // own writes not yet flushed
  };
  struct OpenFile {
    InodePtr inode;
    int flags;
  };

  MemoryClient(MemoryFileSystem* system, const MemoryClientOptions& options)
      : system_(system), options_(options) {}

  int Look(absl::string_view path, InodePtr* inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(system_->mutex_);
  int OpenInode(const InodePtr& inode, int flags) ABSL_EXCLUSIVE_LOCKS_REQUIRED(system_->mutex_);
  int RemoveName(const InodePtr& parent, const std::string& name, bool directory)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(system_->mutex_);
  int ListInode(const InodePtr& inode, std::vector<std::string>* names)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(system_->mutex_);
  const OpenFile* Opened(int fd) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(system_->mutex_);
  bool IsStale(const InodePtr& inode) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(system_->mutex_);
  void FlushInode(const InodePtr& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(system_->mutex_);
  void Describe(const InodePtr& inode, struct stat* info) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(system_->mutex_);

  MemoryFileSystem* const system_;
  const MemoryClientOptions options_;
  std::map<int, OpenFile> open_ ABSL_GUARDED_BY(system_->mutex_);
  // By inode.
  std::map<const void*, Cache> caches_ ABSL_GUARDED_BY(system_->mutex_);
  std::set<std::string> missing_ ABSL_GUARDED_BY(system_->mutex_);
  // By path (stale_listings alone).
  std::map<std::string, std::vector<std::string>> listings_ ABSL_GUARDED_BY(system_->mutex_);
};

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_TESTING_MEMORY_FILE_SYSTEM_H_
