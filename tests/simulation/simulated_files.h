// The kernel's file operations, for a simulated process: each is asked of the world, and takes as
// long there as the world says.
#ifndef SPOOLRPC_TESTS_SIMULATION_SIMULATED_FILES_H_
#define SPOOLRPC_TESTS_SIMULATION_SIMULATED_FILES_H_

#include <string>
#include <vector>

#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::simulation {

// For threads that have a slot (inside.h).
class SimulatedFiles final : public os::SystemCalls {
 public:
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
};

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_SIMULATED_FILES_H_
