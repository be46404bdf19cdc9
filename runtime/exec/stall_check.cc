#include "spoolrpc/exec/stall_check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/string_view.h"

namespace spoolrpc::exec {
namespace {

constexpr os::Nanos kComputes = 1'000'000;

// It computes, or would if it had a processor. (proc(5): the field behind the name in parentheses.)
bool Runnable(pid_t thread) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/stat", static_cast<int>(thread));
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char bytes[128];  // names have at most 15
  const ssize_t length = read(fd, bytes, sizeof(bytes));
  close(fd);
  const absl::string_view stat(bytes, length < 0 ? 0 : length);
  const size_t name_end = stat.rfind(')');
  return name_end != absl::string_view::npos && stat.substr(name_end + 1).substr(0, 2) == " R";
}

}  // namespace

StallCheck::StallCheck()
    : thread_(static_cast<pid_t>(syscall(SYS_gettid))),
      have_clock_(pthread_getcpuclockid(pthread_self(), &clock_) == 0) {}

bool StallCheck::Stuck(int64_t piece) {
  timespec time;
  if (!have_clock_ || !Runnable(thread_) || clock_gettime(clock_, &time) != 0) return true;
  const os::Nanos computed = os::Nanos{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  if (piece != piece_) {
    piece_ = piece;
    computed_ = computed;
  }
  return computed - computed_ >= kComputes;
}

}  // namespace spoolrpc::exec
