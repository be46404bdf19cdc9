// The system calls that the runtime makes on files, as an interface: a test, or a simulated file
// system, can stand in for the kernel and make any one of them fail.
#ifndef SPOOLRPC_OS_SYSTEM_CALLS_H_
#define SPOOLRPC_OS_SYSTEM_CALLS_H_

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace spoolrpc::os {

// Each member is the call of its name. Results are as the kernel's, except that an error is
// returned as -errno. Thread-safe. Interrupted calls (EINTR) are repeated by the caller, os::File.
class SystemCalls {
 public:
  virtual ~SystemCalls() = default;

  virtual int Open(const char* path, int flags, mode_t mode) = 0;
  virtual int Close(int fd) = 0;
  virtual ssize_t Pread(int fd, void* buffer, size_t count, off_t offset) = 0;
  virtual ssize_t Pwrite(int fd, const void* buffer, size_t count, off_t offset) = 0;
  virtual int Fdatasync(int fd) = 0;
  virtual int Fsync(int fd) = 0;
  virtual int Fallocate(int fd, off_t length) = 0;  // posix_fallocate from 0
  virtual int Fstat(int fd, struct stat* info) = 0;
  virtual int Fchmod(int fd, mode_t mode) = 0;
  // mmap(PROT_READ | PROT_WRITE, MAP_SHARED) at offset 0; *address is set on success.
  virtual int Map(int fd, size_t length, void** address) = 0;
  // mmap(PROT_READ, MAP_SHARED) at offset 0; *address is set on success.
  virtual int MapForReading(int fd, size_t length, void** address) = 0;
  virtual int Madvise(void* address, size_t length, int advice) = 0;
  virtual int Unmap(void* address, size_t length) = 0;

  virtual int Lstat(const char* path, struct stat* info) = 0;
  virtual int Statfs(const char* path, struct statfs* info) = 0;
  virtual int Mkdir(const char* path, mode_t mode) = 0;
  virtual int Chmod(const char* path, mode_t mode) = 0;
  virtual int Lchown(const char* path, uid_t uid, gid_t gid) = 0;
  virtual int Rmdir(const char* path) = 0;
  virtual int Unlink(const char* path) = 0;
  virtual int Rename(const char* from, const char* to) = 0;
  virtual int Link(const char* from, const char* to) = 0;
  // Opens the directory anew, and lists it without "." and "..". 0 or -errno.
  virtual int List(const char* path, std::vector<std::string>* names) = 0;

  // openat, unlinkat, and List() of a directory that OpenAt() or Open() opened. They name entries
  // of an open directory, so that nobody can put a symbolic link into the way meanwhile.
  virtual int OpenAt(int directory, const char* name, int flags) = 0;
  virtual int UnlinkAt(int directory, const char* name, int flags) = 0;
  virtual int ListAt(int directory, std::vector<std::string>* names) = 0;

  // The kernel; lives for ever.
  static SystemCalls* Real();
};

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_SYSTEM_CALLS_H_
