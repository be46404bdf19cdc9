// System calls that fail, fall short, lose data or hang when and where a test says.
#ifndef SPOOLRPC_TESTS_TESTING_FAULTY_SYSTEM_CALLS_H_
#define SPOOLRPC_TESTS_TESTING_FAULTY_SYSTEM_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::testing {

// One for each member of os::SystemCalls.
enum class Call {
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

// Which calls a fault meets.
struct Where {
  static constexpr int kEvery = -1;

  Call call;
  // Only calls on a path that contains this. A call on a descriptor has the path that was opened,
  // OpenAt and UnlinkAt have the directory's with the name, Rename and Link two, Unmap none.
  std::string path = {};
  int skip = 0;        // how many of them pass first
  int times = kEvery;  // how many it meets then
};

// Passes every call on to another SystemCalls, but for those that a fault meets. Where several
// faults meet one call, hooks and blocks come first, in the order in which they were set. Counts
// every call that it is asked for, faults included. Thread-safe; nothing is locked during a call.
class FaultySystemCalls final : public os::SystemCalls {
 public:
  using Fault = int;

  // `below` must outlive it.
  explicit FaultySystemCalls(os::SystemCalls* below = os::SystemCalls::Real()) : below_(below) {}
  // No call may be under way.
  ~FaultySystemCalls() override = default;

  // The call fails with `error` (an errno value), and is not made. A Close is made all the same,
  // as Linux does it.
  Fault Fail(Where where, int error);
  // A Pread or Pwrite does no more than `bytes` of what it is asked for.
  Fault Shorten(Where where, size_t bytes);
  // A Pwrite reports success and writes nothing, so that a hole is left where the data belong.
  Fault LoseWrites(Where where);
  // `hook` runs before the call is made, in the calling thread.
  Fault Run(Where where, std::function<void()> hook);
  // The call blocks until Release() or Remove().
  Fault Block(Where where);

  // Waits until a call is blocked by `block`; false after `timeout`.
  bool AwaitBlocked(Fault block, absl::Duration timeout = absl::Seconds(30));
  // Ends the fault; what it blocked goes on, or fails with `error` if that is not 0.
  void Release(Fault block, int error = 0);

  // How many calls the fault has met.
  int Met(Fault fault) const;
  void Remove(Fault fault);
  // Removes all faults and the limit.
  void Clear();

  // After `bytes` further bytes of Pwrite or Fallocate the disk is full: the write that comes to
  // the end is short, later ones fail with ENOSPC.
  void LimitSpace(uint64_t bytes);

  // Calls so far, on paths that contain `path`.
  int64_t Count(Call call, absl::string_view path = "") const;
  void ResetCounts();

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
  enum class Kind { kFail, kShorten, kLose, kRun, kBlock };
  struct State {
    Kind kind;
    Where where;
    int error = 0;
    size_t bytes = 0;
    std::function<void()> hook;
    int seen = 0;
    int met = 0;
    int blocked = 0;  // calls in it now
    bool released = false;
  };
  // What becomes of a call.
  struct Plan {
    int error = 0;
    std::optional<size_t> at_most;
    bool lose = false;
  };

  Fault Add(State state);
  // Counts the call, runs hooks, blocks.
  Plan Meet(Call call, const std::string& path, const std::string& other = "");
  std::string PathOf(int fd) const;
  // Calls `call` unless a fault makes it fail.
  template <class Function>
  int Pass(Call kind, const std::string& path, const std::string& other, Function call);
  // As Pass(), and remembers the path of the descriptor that it returns.
  template <class Function>
  int PassOpen(Call kind, const std::string& path, Function call);

  os::SystemCalls* const below_;
  mutable absl::Mutex mutex_;
  std::map<Fault, std::shared_ptr<State>> faults_ ABSL_GUARDED_BY(mutex_);
  Fault next_fault_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<int, std::string> paths_ ABSL_GUARDED_BY(mutex_);  // of open descriptors
  std::map<std::pair<Call, std::string>, int64_t> counts_ ABSL_GUARDED_BY(mutex_);
  std::optional<uint64_t> space_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_TESTING_FAULTY_SYSTEM_CALLS_H_
