#include "tests/testing/faulty_system_calls.h"

#include <errno.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc::testing {

FaultySystemCalls::Fault FaultySystemCalls::Add(State state) {
  absl::MutexLock lock(&mutex_);
  const Fault fault = next_fault_++;
  faults_[fault] = std::make_shared<State>(std::move(state));
  return fault;
}

FaultySystemCalls::Fault FaultySystemCalls::Fail(Where where, int error) {
  State state{Kind::kFail, std::move(where)};
  state.error = error;
  return Add(std::move(state));
}

FaultySystemCalls::Fault FaultySystemCalls::Shorten(Where where, size_t bytes) {
  State state{Kind::kShorten, std::move(where)};
  state.bytes = bytes;
  return Add(std::move(state));
}

FaultySystemCalls::Fault FaultySystemCalls::LoseWrites(Where where) {
  return Add(State{Kind::kLose, std::move(where)});
}

FaultySystemCalls::Fault FaultySystemCalls::Run(Where where, std::function<void()> hook) {
  State state{Kind::kRun, std::move(where)};
  state.hook = std::move(hook);
  return Add(std::move(state));
}

FaultySystemCalls::Fault FaultySystemCalls::Block(Where where) {
  return Add(State{Kind::kBlock, std::move(where)});
}

bool FaultySystemCalls::AwaitBlocked(Fault block, absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const auto found = faults_.find(block);
  if (found == faults_.end()) return false;
  const std::shared_ptr<State> state = found->second;  // stays though the fault is removed
  return mutex_.AwaitWithTimeout(absl::Condition(
                                     +[](State* s) { return s->blocked > 0; }, state.get()),
                                 timeout);
}

void FaultySystemCalls::Release(Fault block, int error) {
  absl::MutexLock lock(&mutex_);
  const auto found = faults_.find(block);
  if (found == faults_.end()) return;
  found->second->error = error;
  found->second->released = true;
}

int FaultySystemCalls::Met(Fault fault) const {
  absl::MutexLock lock(&mutex_);
  const auto found = faults_.find(fault);
  return found == faults_.end() ? 0 : found->second->met;
}

void FaultySystemCalls::Remove(Fault fault) {
  absl::MutexLock lock(&mutex_);
  const auto found = faults_.find(fault);
  if (found == faults_.end()) return;
  found->second->released = true;
  faults_.erase(found);
}

void FaultySystemCalls::Clear() {
  absl::MutexLock lock(&mutex_);
  for (auto& [fault, state] : faults_) state->released = true;
  faults_.clear();
  space_.reset();
}

void FaultySystemCalls::LimitSpace(uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  space_ = bytes;
}

int64_t FaultySystemCalls::Count(Call call, absl::string_view path) const {
  absl::MutexLock lock(&mutex_);
  int64_t count = 0;
  for (const auto& [key, calls] : counts_) {
    if (key.first == call && absl::StrContains(key.second, path)) count += calls;
  }
  return count;
}

void FaultySystemCalls::ResetCounts() {
  absl::MutexLock lock(&mutex_);
  counts_.clear();
}

FaultySystemCalls::Plan FaultySystemCalls::Meet(Call call, const std::string& path,
                                                const std::string& other) {
  std::vector<std::shared_ptr<State>> met;
  {
    absl::MutexLock lock(&mutex_);
    ++counts_[{call, other.empty() ? path : absl::StrCat(path, " ", other)}];
    for (const auto& [fault, state] : faults_) {
      const Where& where = state->where;
      if (where.call != call || (state->kind == Kind::kBlock && state->released) ||
          !(absl::StrContains(path, where.path) || absl::StrContains(other, where.path))) {
        continue;
      }
      if (state->seen++ < where.skip) continue;
      if (where.times != Where::kEvery && state->met >= where.times) continue;
      ++state->met;
      met.push_back(state);
    }
  }
  Plan plan;
  for (const std::shared_ptr<State>& state : met) {
    switch (state->kind) {
      case Kind::kRun:
        state->hook();
        break;
      case Kind::kBlock: {
        absl::MutexLock lock(&mutex_);
        ++state->blocked;
        mutex_.Await(absl::Condition(&state->released));
        --state->blocked;
        if (plan.error == 0) plan.error = state->error;
        break;
      }
      case Kind::kFail:
        if (plan.error == 0) plan.error = state->error;
        break;
      case Kind::kShorten:
        plan.at_most = std::min(plan.at_most.value_or(state->bytes), state->bytes);
        break;
      case Kind::kLose:
        plan.lose = true;
        break;
    }
  }
  return plan;
}

std::string FaultySystemCalls::PathOf(int fd) const {
  absl::MutexLock lock(&mutex_);
  const auto found = paths_.find(fd);
  return found == paths_.end() ? "" : found->second;
}

template <class Function>
int FaultySystemCalls::Pass(Call kind, const std::string& path, const std::string& other,
                            Function call) {
  const Plan plan = Meet(kind, path, other);
  return plan.error != 0 ? -plan.error : call();
}

template <class Function>
int FaultySystemCalls::PassOpen(Call kind, const std::string& path, Function call) {
  const int fd = Pass(kind, path, "", call);
  if (fd >= 0) {
    absl::MutexLock lock(&mutex_);
    paths_[fd] = path;
  }
  return fd;
}

int FaultySystemCalls::Open(const char* path, int flags, mode_t mode) {
  return PassOpen(Call::kOpen, path, [&] { return below_->Open(path, flags, mode); });
}

int FaultySystemCalls::Close(int fd) {
  const Plan plan = Meet(Call::kClose, PathOf(fd));
  {
    // Before the number is free for another thread's Open().
    absl::MutexLock lock(&mutex_);
    paths_.erase(fd);
  }
  const int closed = below_->Close(fd);
  return plan.error != 0 ? -plan.error : closed;
}

ssize_t FaultySystemCalls::Pread(int fd, void* buffer, size_t count, off_t offset) {
  const Plan plan = Meet(Call::kPread, PathOf(fd));
  if (plan.error != 0) return -plan.error;
  return below_->Pread(fd, buffer, std::min(count, plan.at_most.value_or(count)), offset);
}

ssize_t FaultySystemCalls::Pwrite(int fd, const void* buffer, size_t count, off_t offset) {
  const Plan plan = Meet(Call::kPwrite, PathOf(fd));
  if (plan.error != 0) return -plan.error;
  count = std::min(count, plan.at_most.value_or(count));
  {
    absl::MutexLock lock(&mutex_);
    if (space_.has_value()) {
      if (*space_ == 0 && count > 0) return -ENOSPC;
      count = std::min<uint64_t>(count, *space_);
      *space_ -= count;
    }
  }
  return plan.lose ? static_cast<ssize_t>(count) : below_->Pwrite(fd, buffer, count, offset);
}

int FaultySystemCalls::Fallocate(int fd, off_t length) {
  const Plan plan = Meet(Call::kFallocate, PathOf(fd));
  if (plan.error != 0) return -plan.error;
  {
    absl::MutexLock lock(&mutex_);
    if (space_.has_value()) {
      if (static_cast<uint64_t>(length) > *space_) return -ENOSPC;
      *space_ -= length;
    }
  }
  return below_->Fallocate(fd, length);
}

int FaultySystemCalls::Fdatasync(int fd) {
  return Pass(Call::kFdatasync, PathOf(fd), "", [&] { return below_->Fdatasync(fd); });
}
int FaultySystemCalls::Fsync(int fd) {
  return Pass(Call::kFsync, PathOf(fd), "", [&] { return below_->Fsync(fd); });
}
int FaultySystemCalls::Fstat(int fd, struct stat* info) {
  return Pass(Call::kFstat, PathOf(fd), "", [&] { return below_->Fstat(fd, info); });
}
int FaultySystemCalls::Fchmod(int fd, mode_t mode) {
  return Pass(Call::kFchmod, PathOf(fd), "", [&] { return below_->Fchmod(fd, mode); });
}
int FaultySystemCalls::Map(int fd, size_t length, void** address) {
  return Pass(Call::kMap, PathOf(fd), "", [&] { return below_->Map(fd, length, address); });
}
int FaultySystemCalls::MapForReading(int fd, size_t length, void** address) {
  return Pass(Call::kMap, PathOf(fd), "",
              [&] { return below_->MapForReading(fd, length, address); });
}
int FaultySystemCalls::Madvise(void* address, size_t length, int advice) {
  return below_->Madvise(address, length, advice);
}
int FaultySystemCalls::Unmap(void* address, size_t length) {
  return Pass(Call::kUnmap, "", "", [&] { return below_->Unmap(address, length); });
}
int FaultySystemCalls::Lstat(const char* path, struct stat* info) {
  return Pass(Call::kLstat, path, "", [&] { return below_->Lstat(path, info); });
}
int FaultySystemCalls::Statfs(const char* path, struct statfs* info) {
  return Pass(Call::kStatfs, path, "", [&] { return below_->Statfs(path, info); });
}
int FaultySystemCalls::Mkdir(const char* path, mode_t mode) {
  return Pass(Call::kMkdir, path, "", [&] { return below_->Mkdir(path, mode); });
}
int FaultySystemCalls::Chmod(const char* path, mode_t mode) {
  return Pass(Call::kChmod, path, "", [&] { return below_->Chmod(path, mode); });
}
int FaultySystemCalls::Lchown(const char* path, uid_t uid, gid_t gid) {
  return Pass(Call::kLchown, path, "", [&] { return below_->Lchown(path, uid, gid); });
}
int FaultySystemCalls::Rmdir(const char* path) {
  return Pass(Call::kRmdir, path, "", [&] { return below_->Rmdir(path); });
}
int FaultySystemCalls::Unlink(const char* path) {
  return Pass(Call::kUnlink, path, "", [&] { return below_->Unlink(path); });
}
int FaultySystemCalls::Rename(const char* from, const char* to) {
  return Pass(Call::kRename, from, to, [&] { return below_->Rename(from, to); });
}
int FaultySystemCalls::Link(const char* from, const char* to) {
  return Pass(Call::kLink, from, to, [&] { return below_->Link(from, to); });
}
int FaultySystemCalls::List(const char* path, std::vector<std::string>* names) {
  return Pass(Call::kList, path, "", [&] { return below_->List(path, names); });
}
int FaultySystemCalls::OpenAt(int directory, const char* name, int flags) {
  return PassOpen(Call::kOpenAt, absl::StrCat(PathOf(directory), "/", name),
                  [&] { return below_->OpenAt(directory, name, flags); });
}
int FaultySystemCalls::UnlinkAt(int directory, const char* name, int flags) {
  return Pass(Call::kUnlinkAt, absl::StrCat(PathOf(directory), "/", name), "",
              [&] { return below_->UnlinkAt(directory, name, flags); });
}
int FaultySystemCalls::ListAt(int directory, std::vector<std::string>* names) {
  return Pass(Call::kListAt, PathOf(directory), "",
              [&] { return below_->ListAt(directory, names); });
}

}  // namespace spoolrpc::testing
