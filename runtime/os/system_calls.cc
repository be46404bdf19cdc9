#include "spoolrpc/os/system_calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

namespace spoolrpc::os {
namespace {

template <class T>
T OrErrno(T result) {
  return result < 0 ? static_cast<T>(-errno) : result;
}

// Appends the names in the directory `fd` to `names`, and closes it. 0 or -errno.
int ListAndClose(int fd, std::vector<std::string>* names) {
  DIR* const directory = fdopendir(fd);
  if (directory == nullptr) {
    const int error = errno;
    close(fd);
    return -error;
  }
  for (;;) {
    errno = 0;
    const dirent* const entry = readdir(directory);
    if (entry == nullptr) break;
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      names->emplace_back(entry->d_name);
    }
  }
  const int error = errno;
  closedir(directory);
  return -error;
}

class RealSystemCalls final : public SystemCalls {
 public:
  int Open(const char* path, int flags, mode_t mode) override {
    return OrErrno(open(path, flags, mode));
  }
  int Close(int fd) override { return OrErrno(close(fd)); }
  ssize_t Pread(int fd, void* buffer, size_t count, off_t offset) override {
    return OrErrno(pread(fd, buffer, count, offset));
  }
  ssize_t Pwrite(int fd, const void* buffer, size_t count, off_t offset) override {
    return OrErrno(pwrite(fd, buffer, count, offset));
  }
  int Fdatasync(int fd) override { return OrErrno(fdatasync(fd)); }
  int Fsync(int fd) override { return OrErrno(fsync(fd)); }
  int Fallocate(int fd, off_t length) override { return -posix_fallocate(fd, 0, length); }
  int Fstat(int fd, struct stat* info) override { return OrErrno(fstat(fd, info)); }
  int Fchmod(int fd, mode_t mode) override { return OrErrno(fchmod(fd, mode)); }
  int Map(int fd, size_t length, void** address) override {
    void* const mapped = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) return -errno;
    *address = mapped;
    return 0;
  }
  int MapForReading(int fd, size_t length, void** address) override {
    void* const mapped = mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) return -errno;
    *address = mapped;
    return 0;
  }
  int Madvise(void* address, size_t length, int advice) override {
    return OrErrno(madvise(address, length, advice));
  }
  int Unmap(void* address, size_t length) override { return OrErrno(munmap(address, length)); }

  int Lstat(const char* path, struct stat* info) override { return OrErrno(lstat(path, info)); }
  int Statfs(const char* path, struct statfs* info) override { return OrErrno(statfs(path, info)); }
  int Mkdir(const char* path, mode_t mode) override { return OrErrno(mkdir(path, mode)); }
  int Chmod(const char* path, mode_t mode) override { return OrErrno(chmod(path, mode)); }
  int Lchown(const char* path, uid_t uid, gid_t gid) override {
    return OrErrno(lchown(path, uid, gid));
  }
  int Rmdir(const char* path) override { return OrErrno(rmdir(path)); }
  int Unlink(const char* path) override { return OrErrno(unlink(path)); }
  int Rename(const char* from, const char* to) override { return OrErrno(rename(from, to)); }
  int Link(const char* from, const char* to) override { return OrErrno(link(from, to)); }
  int List(const char* path, std::vector<std::string>* names) override {
    names->clear();
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : ListAndClose(fd, names);
  }

  int OpenAt(int directory, const char* name, int flags) override {
    return OrErrno(openat(directory, name, flags));
  }
  int UnlinkAt(int directory, const char* name, int flags) override {
    return OrErrno(unlinkat(directory, name, flags));
  }
  int ListAt(int directory, std::vector<std::string>* names) override {
    names->clear();
    const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : ListAndClose(fd, names);
  }
};

}  // namespace

SystemCalls* SystemCalls::Real() {
  static RealSystemCalls* const calls = new RealSystemCalls;
  return calls;
}

}  // namespace spoolrpc::os
