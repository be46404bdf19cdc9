#include "tests/testing/memory_file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace spoolrpc::testing {
namespace {

constexpr uint64_t kDevice = 0x5350;
constexpr uint64_t kDirectBlock = 512;
constexpr long kTmpfsMagic = 0x01021994;
constexpr long kNfsMagic = 0x6969;

// What every path below the directory `path` begins with.
std::string Below(absl::string_view path) {
  return absl::EndsWith(path, "/") ? std::string(path) : absl::StrCat(path, "/");
}

bool IsDirectory(uint32_t mode) { return (mode & S_IFMT) == S_IFDIR; }

}  // namespace

// A file's content lies in an anonymous file of the kernel's, so that it can be mapped.
struct MemoryFileSystem::Inode {
  uint64_t number;
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  int64_t modified;  // seconds
  uint64_t links = 1;
  int content = -1;
  std::map<std::string, InodePtr> entries;
  const void* removed_by = nullptr;  // the client that took its last name

  ~Inode() {
    if (content >= 0) close(content);
  }
  uint64_t size() const {
    struct stat s;
    return content >= 0 && fstat(content, &s) == 0 ? s.st_size : 0;
  }
};

MemoryFileSystem::MemoryFileSystem(const os::Clock* clock) : clock_(clock) {
  absl::MutexLock lock(&mutex_);
  root_ = NewInode(S_IFDIR | 0755, 0, 0);
}

MemoryFileSystem::~MemoryFileSystem() = default;

std::unique_ptr<MemoryClient> MemoryFileSystem::NewClient(const MemoryClientOptions& options) {
  return std::unique_ptr<MemoryClient>(new MemoryClient(this, options));
}

void MemoryFileSystem::SetOwner(const std::string& path, uint32_t uid) {
  absl::MutexLock lock(&mutex_);
  InodePtr inode;
  if (Find(path, &inode) != 0) abort();
  inode->uid = uid;
}

int64_t MemoryFileSystem::Seconds() const { return absl::ToUnixSeconds(clock_->WallTime()); }

MemoryFileSystem::InodePtr MemoryFileSystem::NewInode(uint32_t mode, uint32_t uid, uint32_t gid) {
  auto inode = std::make_shared<Inode>();
  inode->number = next_inode_++;
  inode->mode = mode;
  inode->uid = uid;
  inode->gid = gid;
  inode->modified = Seconds();
  if (!IsDirectory(mode)) {
    inode->content = memfd_create("memory_file_system", MFD_CLOEXEC);
    if (inode->content < 0) abort();
  }
  return inode;
}

int MemoryFileSystem::Find(absl::string_view path, InodePtr* inode) {
  if (!absl::StartsWith(path, "/")) return -EINVAL;
  InodePtr at = root_;
  for (absl::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (name == ".") continue;
    if (name == "..") return -EINVAL;
    if (!IsDirectory(at->mode)) return -ENOTDIR;
    const auto found = at->entries.find(std::string(name));
    if (found == at->entries.end()) return -ENOENT;
    InodePtr next = found->second;
    at = std::move(next);
  }
  *inode = at;
  return 0;
}

int MemoryFileSystem::FindParent(absl::string_view path, InodePtr* parent, std::string* name) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return -EINVAL;
  *name = std::string(path.substr(slash + 1));
  if (name->empty() || *name == "." || *name == "..") return -EBUSY;
  if (name->size() > 255) return -ENAMETOOLONG;
  const int found = Find(slash == 0 ? "/" : path.substr(0, slash), parent);
  if (found != 0) return found;
  return IsDirectory((*parent)->mode) ? 0 : -ENOTDIR;
}

MemoryClient::~MemoryClient() { Crash(); }

void MemoryClient::Crash() {
  absl::MutexLock lock(&system_->mutex_);
  open_.clear();
  caches_.clear();
  missing_.clear();
  listings_.clear();
}

int MemoryClient::Look(absl::string_view path, InodePtr* inode) {
  if (missing_.count(std::string(path)) != 0) return -ENOENT;
  const int found = system_->Find(path, inode);
  if (found == -ENOENT && options_.network) missing_.insert(std::string(path));
  return found;
}

const MemoryClient::OpenFile* MemoryClient::Opened(int fd) const {
  const auto found = open_.find(fd);
  return found == open_.end() ? nullptr : &found->second;
}

bool MemoryClient::IsStale(const InodePtr& inode) const {
  return options_.network && inode->links == 0 && inode->removed_by != this;
}

void MemoryClient::FlushInode(const InodePtr& inode) {
  const auto cache = caches_.find(inode.get());
  if (cache == caches_.end()) return;
  for (const auto& [offset, bytes] : cache->second.dirty) {
    if (pwrite(inode->content, bytes.data(), bytes.size(), offset) != bytes.size()) abort();
  }
  cache->second.dirty.clear();
}

int MemoryClient::OpenInode(const InodePtr& inode, int flags) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (IsDirectory(inode->mode) && writes) return -EISDIR;
  if (!IsDirectory(inode->mode) && (flags & O_DIRECTORY)) return -ENOTDIR;
  if (options_.network && !IsDirectory(inode->mode)) {
    Cache& cache = caches_[inode.get()];
    FlushInode(inode);
    cache.seen.resize(inode->size());
    if (pread(inode->content, cache.seen.data(), cache.seen.size(), 0) != cache.seen.size())
      abort();
  }
  const int fd = system_->next_fd_++;
  open_[fd] = OpenFile{inode, flags};
  return fd;
}

int MemoryClient::Open(const char* path, int flags, mode_t mode) {
  absl::MutexLock lock(&system_->mutex_);
  if ((flags & O_DIRECT) != 0 && !options_.direct) return -EINVAL;
  if ((flags & O_CREAT) == 0) {
    InodePtr inode;
    const int found = Look(path, &inode);
    return found != 0 ? found : OpenInode(inode, flags);
  }
  InodePtr parent;
  std::string name;
  if (const int found = system_->FindParent(path, &parent, &name); found != 0) return found;
  InodePtr& entry = parent->entries[name];
  if (entry != nullptr && (flags & O_EXCL) && !options_.lax_names) return -EEXIST;
  if (entry == nullptr) {
    entry = system_->NewInode(S_IFREG | (mode & 07777), options_.uid, options_.gid);
    parent->modified = system_->Seconds();
  }
  missing_.erase(path);
  const InodePtr inode = entry;
  return OpenInode(inode, flags);
}

int MemoryClient::Close(int fd) {
  absl::MutexLock lock(&system_->mutex_);
  const auto found = open_.find(fd);
  if (found == open_.end()) return -EBADF;
  FlushInode(found->second.inode);
  open_.erase(found);
  return 0;
}

ssize_t MemoryClient::Pread(int fd, void* buffer, size_t count, off_t offset) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(fd);
  if (file == nullptr || (file->flags & O_ACCMODE) == O_WRONLY) return -EBADF;
  if (IsDirectory(file->inode->mode)) return -EISDIR;
  if (IsStale(file->inode)) return -ESTALE;
  if (offset < 0) return -EINVAL;
  const bool direct = (file->flags & O_DIRECT) != 0;
  if (direct && (offset % kDirectBlock != 0 || count % kDirectBlock != 0 ||
                 reinterpret_cast<uintptr_t>(buffer) % kDirectBlock != 0)) {
    return -EINVAL;
  }
  if (!options_.network || (direct && !options_.stale_direct_reads)) {
    FlushInode(file->inode);
    const ssize_t got = pread(file->inode->content, buffer, count, offset);
    return got < 0 ? -errno : got;
  }
  const std::string& seen = caches_[file->inode.get()].seen;
  if (offset >= seen.size()) return 0;
  count = std::min<size_t>(count, seen.size() - offset);
  memcpy(buffer, seen.data() + offset, count);
  return count;
}

ssize_t MemoryClient::Pwrite(int fd, const void* buffer, size_t count, off_t offset) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(fd);
  if (file == nullptr || (file->flags & O_ACCMODE) == O_RDONLY) return -EBADF;
  if (offset < 0) return -EINVAL;
  const absl::string_view bytes(static_cast<const char*>(buffer), count);
  file->inode->modified = system_->Seconds();
  if (!options_.network) {
    const ssize_t put = pwrite(file->inode->content, buffer, count, offset);
    return put < 0 ? -errno : put;
  }
  Cache& cache = caches_[file->inode.get()];
  if (cache.seen.size() < offset + count) cache.seen.resize(offset + count, '\0');
  memcpy(&cache.seen[offset], buffer, count);
  cache.dirty.emplace_back(offset, std::string(bytes));
  if (file->flags & (O_DSYNC | O_DIRECT)) FlushInode(file->inode);
  return count;
}

int MemoryClient::Fdatasync(int fd) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(fd);
  if (file == nullptr) return -EBADF;
  FlushInode(file->inode);
  return 0;
}

int MemoryClient::Fsync(int fd) { return Fdatasync(fd); }

int MemoryClient::Fallocate(int fd, off_t length) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(fd);
  if (file == nullptr || (file->flags & O_ACCMODE) == O_RDONLY) return -EBADF;
  if (options_.network) return -EOPNOTSUPP;
  if (length <= file->inode->size()) return 0;
  return ftruncate(file->inode->content, length) != 0 ? -errno : 0;
}

void MemoryClient::Describe(const InodePtr& inode, struct stat* info) const {
  *info = {};
  info->st_dev = kDevice;
  info->st_ino = inode->number;
  info->st_mode = inode->mode;
  info->st_nlink = IsDirectory(inode->mode) ? 2 : inode->links;
  info->st_uid = inode->uid;
  info->st_gid = inode->gid;
  info->st_size = inode->size();
  info->st_mtime = inode->modified;
  // A client sees the growth that its own writes will bring.
  const auto cache = caches_.find(inode.get());
  if (cache != caches_.end() && !cache->second.dirty.empty()) {
    info->st_size = std::max<int64_t>(info->st_size, cache->second.seen.size());
  }
}

int MemoryClient::Fstat(int fd, struct stat* info) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(fd);
  if (file == nullptr) return -EBADF;
  if (IsStale(file->inode)) return -ESTALE;
  Describe(file->inode, info);
  return 0;
}

int MemoryClient::Fchmod(int fd, mode_t mode) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(fd);
  if (file == nullptr) return -EBADF;
  file->inode->mode = (file->inode->mode & S_IFMT) | (mode & 07777);
  return 0;
}

int MemoryClient::Map(int fd, size_t length, void** address) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(fd);
  if (file == nullptr) return -EBADF;
  if (options_.network || IsDirectory(file->inode->mode)) return -ENODEV;
  if ((file->flags & O_ACCMODE) != O_RDWR) return -EACCES;
  void* const mapped =
      mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file->inode->content, 0);
  if (mapped == MAP_FAILED) return -errno;
  *address = mapped;
  return 0;
}

int MemoryClient::MapForReading(int fd, size_t length, void** address) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(fd);
  if (file == nullptr) return -EBADF;
  if (options_.network || IsDirectory(file->inode->mode)) return -ENODEV;
  void* const mapped = mmap(nullptr, length, PROT_READ, MAP_SHARED, file->inode->content, 0);
  if (mapped == MAP_FAILED) return -errno;
  *address = mapped;
  return 0;
}

int MemoryClient::Madvise(void*, size_t, int) { return 0; }

int MemoryClient::Unmap(void* address, size_t length) {
  return munmap(address, length) != 0 ? -errno : 0;
}

int MemoryClient::Lstat(const char* path, struct stat* info) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr inode;
  if (const int found = Look(path, &inode); found != 0) return found;
  Describe(inode, info);
  return 0;
}

int MemoryClient::Statfs(const char* path, struct statfs* info) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr inode;
  if (const int found = Look(path, &inode); found != 0) return found;
  *info = {};
  info->f_type = options_.network ? kNfsMagic : kTmpfsMagic;
  info->f_bsize = options_.network ? options_.block_size : 4096;
  if (options_.free_bytes.has_value()) {
    info->f_bavail = *options_.free_bytes / info->f_bsize;
    info->f_blocks = info->f_bavail + 1;
  }
  if (options_.free_inodes.has_value()) {
    info->f_ffree = *options_.free_inodes;
    info->f_files = info->f_ffree + 1;
  }
  return 0;
}

int MemoryClient::Mkdir(const char* path, mode_t mode) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr parent;
  std::string name;
  if (const int found = system_->FindParent(path, &parent, &name); found != 0) return found;
  if (parent->entries.count(name) != 0) return options_.lax_names ? 0 : -EEXIST;
  parent->entries[name] = system_->NewInode(S_IFDIR | (mode & 07777), options_.uid, options_.gid);
  parent->modified = system_->Seconds();
  missing_.erase(path);
  return 0;
}

int MemoryClient::Chmod(const char* path, mode_t mode) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr inode;
  if (const int found = Look(path, &inode); found != 0) return found;
  inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
  return 0;
}

int MemoryClient::Lchown(const char* path, uid_t uid, gid_t gid) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr inode;
  if (const int found = Look(path, &inode); found != 0) return found;
  if (uid != static_cast<uid_t>(-1)) inode->uid = uid;
  if (gid != static_cast<gid_t>(-1)) inode->gid = gid;
  return 0;
}

int MemoryClient::RemoveName(const InodePtr& parent, const std::string& name, bool directory) {
  const auto found = parent->entries.find(name);
  if (found == parent->entries.end()) return -ENOENT;
  const InodePtr inode = found->second;
  if (IsDirectory(inode->mode) != directory) return directory ? -ENOTDIR : -EISDIR;
  if (!inode->entries.empty()) return -ENOTEMPTY;
  --inode->links;
  inode->removed_by = this;
  parent->entries.erase(found);
  parent->modified = system_->Seconds();
  return 0;
}

int MemoryClient::Rmdir(const char* path) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr parent;
  std::string name;
  if (const int found = system_->FindParent(path, &parent, &name); found != 0) return found;
  return RemoveName(parent, name, true);
}

int MemoryClient::Unlink(const char* path) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr parent;
  std::string name;
  if (const int found = system_->FindParent(path, &parent, &name); found != 0) return found;
  return RemoveName(parent, name, false);
}

int MemoryClient::Rename(const char* from, const char* to) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr from_parent, to_parent;
  std::string from_name, to_name;
  if (const int found = system_->FindParent(from, &from_parent, &from_name); found != 0) {
    return found;
  }
  if (const int found = system_->FindParent(to, &to_parent, &to_name); found != 0) return found;
  const auto source = from_parent->entries.find(from_name);
  if (source == from_parent->entries.end()) return -ENOENT;
  const InodePtr inode = source->second;
  if (IsDirectory(inode->mode) && absl::StartsWith(to, Below(from))) return -EINVAL;
  const auto target = to_parent->entries.find(to_name);
  if (target != to_parent->entries.end()) {
    if (target->second == inode) return 0;
    const bool over_directory = IsDirectory(target->second->mode);
    if (over_directory != IsDirectory(inode->mode)) return over_directory ? -EISDIR : -ENOTDIR;
    if (const int removed = RemoveName(to_parent, to_name, over_directory); removed != 0) {
      return removed;
    }
  }
  from_parent->entries.erase(from_name);
  to_parent->entries[to_name] = inode;
  from_parent->modified = to_parent->modified = system_->Seconds();
  // What was missing below the new name may be there now.
  missing_.erase(to);
  for (auto it = missing_.begin(); it != missing_.end();) {
    it = absl::StartsWith(*it, Below(to)) ? missing_.erase(it) : std::next(it);
  }
  return 0;
}

int MemoryClient::Link(const char* from, const char* to) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr inode, parent;
  std::string name;
  if (const int found = Look(from, &inode); found != 0) return found;
  if (const int found = system_->FindParent(to, &parent, &name); found != 0) return found;
  if (IsDirectory(inode->mode)) return -EPERM;
  if (parent->entries.count(name) != 0) return options_.lax_names ? 0 : -EEXIST;
  parent->entries[name] = inode;
  ++inode->links;
  parent->modified = system_->Seconds();
  missing_.erase(to);
  return 0;
}

int MemoryClient::ListInode(const InodePtr& inode, std::vector<std::string>* names) {
  names->clear();
  if (!IsDirectory(inode->mode)) return -ENOTDIR;
  for (const auto& [name, entry] : inode->entries) names->push_back(name);
  return 0;
}

int MemoryClient::List(const char* path, std::vector<std::string>* names) {
  absl::MutexLock lock(&system_->mutex_);
  InodePtr inode;
  if (const int found = Look(path, &inode); found != 0) return found;
  for (auto it = missing_.begin(); it != missing_.end();) {
    it = absl::StartsWith(*it, Below(path)) ? missing_.erase(it) : std::next(it);
  }
  const int listed = ListInode(inode, names);
  if (listed == 0 && !options_.stale_listings.empty() &&
      absl::EndsWith(path, options_.stale_listings)) {
    *names = listings_.emplace(path, *names).first->second;
  }
  return listed;
}

int MemoryClient::OpenAt(int directory, const char* name, int flags) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(directory);
  if (file == nullptr || (flags & O_CREAT)) return file == nullptr ? -EBADF : -EINVAL;
  if (!IsDirectory(file->inode->mode)) return -ENOTDIR;
  const auto found = file->inode->entries.find(name);
  if (found == file->inode->entries.end()) return -ENOENT;
  const InodePtr inode = found->second;
  return OpenInode(inode, flags);
}

int MemoryClient::UnlinkAt(int directory, const char* name, int flags) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(directory);
  if (file == nullptr) return -EBADF;
  if (!IsDirectory(file->inode->mode)) return -ENOTDIR;
  return RemoveName(file->inode, name, (flags & AT_REMOVEDIR) != 0);
}

int MemoryClient::ListAt(int directory, std::vector<std::string>* names) {
  absl::MutexLock lock(&system_->mutex_);
  const OpenFile* const file = Opened(directory);
  return file == nullptr ? -EBADF : ListInode(file->inode, names);
}

}  // namespace spoolrpc::testing
