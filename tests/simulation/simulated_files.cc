#include "tests/simulation/simulated_files.h"

#include <errno.h>
#include <string.h>

#include <algorithm>

#include "tests/simulation/inside.h"

namespace spoolrpc::simulation {
namespace {

using testing::Call;

// Begins a request of the calling thread.
FileRequest* Ask(Call call, const char* path = "", int fd = -1) {
  FileRequest* const request = &CurrentSlot()->request;
  request->call = call;
  request->fd = fd;
  request->flags = 0;
  request->offset = 0;
  request->count = 0;
  request->path[0] = request->other[0] = '\0';
  strncat(request->path, path, kMaxPath - 1);
  return request;
}

int Answer(const FileRequest* request) {
  CallFileServer();
  return static_cast<int>(request->result);
}

int AnswerWithNames(const FileRequest* request, std::vector<std::string>* names) {
  const int result = Answer(request);
  names->clear();
  if (result < 0) return result;
  const char* at = request->data;
  for (uint64_t i = 0; i < request->count; ++i) {
    names->emplace_back(at);
    at += names->back().size() + 1;
  }
  return 0;
}

}  // namespace

int SimulatedFiles::Open(const char* path, int flags, mode_t mode) {
  FileRequest* const request = Ask(Call::kOpen, path);
  request->flags = flags;
  request->mode = mode;
  return Answer(request);
}

int SimulatedFiles::Close(int fd) { return Answer(Ask(Call::kClose, "", fd)); }

ssize_t SimulatedFiles::Pread(int fd, void* buffer, size_t count, off_t offset) {
  FileRequest* const request = Ask(Call::kPread, "", fd);
  request->offset = offset;
  request->count = std::min(count, kMaxTransfer);
  // (With O_DIRECT the address counts.)
  request->flags = reinterpret_cast<uintptr_t>(buffer) % 512 == 0;
  const int got = Answer(request);
  if (got > 0) memcpy(buffer, request->data, got);
  return got;
}

ssize_t SimulatedFiles::Pwrite(int fd, const void* buffer, size_t count, off_t offset) {
  FileRequest* const request = Ask(Call::kPwrite, "", fd);
  request->offset = offset;
  request->count = std::min(count, kMaxTransfer);
  memcpy(request->data, buffer, request->count);
  return Answer(request);
}

int SimulatedFiles::Fdatasync(int fd) { return Answer(Ask(Call::kFdatasync, "", fd)); }
int SimulatedFiles::Fsync(int fd) { return Answer(Ask(Call::kFsync, "", fd)); }

int SimulatedFiles::Fallocate(int fd, off_t length) {
  FileRequest* const request = Ask(Call::kFallocate, "", fd);
  request->offset = length;
  return Answer(request);
}

int SimulatedFiles::Fstat(int fd, struct stat* info) {
  const FileRequest* const request = Ask(Call::kFstat, "", fd);
  const int result = Answer(request);
  *info = request->info;
  return result;
}

int SimulatedFiles::Fchmod(int fd, mode_t mode) {
  FileRequest* const request = Ask(Call::kFchmod, "", fd);
  request->mode = mode;
  return Answer(request);
}

int SimulatedFiles::Map(int fd, size_t length, void** address) { return -ENODEV; }
int SimulatedFiles::MapForReading(int fd, size_t length, void** address) { return -ENODEV; }
int SimulatedFiles::Madvise(void* address, size_t length, int advice) { return -EINVAL; }
int SimulatedFiles::Unmap(void* address, size_t length) { return -EINVAL; }

int SimulatedFiles::Lstat(const char* path, struct stat* info) {
  const FileRequest* const request = Ask(Call::kLstat, path);
  const int result = Answer(request);
  *info = request->info;
  return result;
}

int SimulatedFiles::Statfs(const char* path, struct statfs* info) {
  const FileRequest* const request = Ask(Call::kStatfs, path);
  const int result = Answer(request);
  *info = request->file_system;
  return result;
}

int SimulatedFiles::Mkdir(const char* path, mode_t mode) {
  FileRequest* const request = Ask(Call::kMkdir, path);
  request->mode = mode;
  return Answer(request);
}

int SimulatedFiles::Chmod(const char* path, mode_t mode) {
  FileRequest* const request = Ask(Call::kChmod, path);
  request->mode = mode;
  return Answer(request);
}

int SimulatedFiles::Lchown(const char* path, uid_t uid, gid_t gid) {
  FileRequest* const request = Ask(Call::kLchown, path);
  request->uid = uid;
  request->gid = gid;
  return Answer(request);
}

int SimulatedFiles::Rmdir(const char* path) { return Answer(Ask(Call::kRmdir, path)); }
int SimulatedFiles::Unlink(const char* path) { return Answer(Ask(Call::kUnlink, path)); }

int SimulatedFiles::Rename(const char* from, const char* to) {
  FileRequest* const request = Ask(Call::kRename, from);
  strncat(request->other, to, kMaxPath - 1);
  return Answer(request);
}

int SimulatedFiles::Link(const char* from, const char* to) {
  FileRequest* const request = Ask(Call::kLink, from);
  strncat(request->other, to, kMaxPath - 1);
  return Answer(request);
}

int SimulatedFiles::List(const char* path, std::vector<std::string>* names) {
  return AnswerWithNames(Ask(Call::kList, path), names);
}

int SimulatedFiles::OpenAt(int directory, const char* name, int flags) {
  FileRequest* const request = Ask(Call::kOpenAt, name, directory);
  request->flags = flags;
  return Answer(request);
}

int SimulatedFiles::UnlinkAt(int directory, const char* name, int flags) {
  FileRequest* const request = Ask(Call::kUnlinkAt, name, directory);
  request->flags = flags;
  return Answer(request);
}

int SimulatedFiles::ListAt(int directory, std::vector<std::string>* names) {
  return AnswerWithNames(Ask(Call::kListAt, "", directory), names);
}

}  // namespace spoolrpc::simulation
