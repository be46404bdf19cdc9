#include "spoolrpc/os/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "spoolrpc/os/random.h"

namespace spoolrpc::os {
namespace {

// Up to the first `end`, or the end of the file.
std::string ReadUpTo(const std::string& path, char end) {
  std::ifstream in(path);
  std::string text;
  std::getline(in, text, end);
  return text;
}

struct ProcessLook {
  enum { kRuns, kEnded, kHidden } state;
  uint64_t start_time = 0;  // for kRuns
};

ProcessLook LookAtProcess(int64_t pid) {
  // The second field is the program's name in parentheses, and may hold anything, newlines too.
  const std::string stat = ReadUpTo(absl::StrCat("/proc/", pid, "/stat"), '\0');
  const size_t close = stat.rfind(')');
  if (close == std::string::npos) {
    // Mounted with hidepid, /proc shows only one's own processes: ask whether there is one.
    const bool none = pid > std::numeric_limits<pid_t>::max() ||
                      (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH);
    return {none ? ProcessLook::kEnded : ProcessLook::kHidden};
  }
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(stat).substr(close + 1), ' ', absl::SkipEmpty());
  // Field 3, the state, is the first here; field 20, the number of threads, the 18th; field 22 the
  // 20th.
  ProcessLook look{ProcessLook::kRuns};
  int threads = 0;
  if (fields.size() < 20 || !absl::SimpleAtoi(fields[17], &threads) ||
      !absl::SimpleAtoi(fields[19], &look.start_time)) {
    return {ProcessLook::kHidden};
  }
  // A zombie has ended and waits for its parent, unless only its first thread has ended.
  if (fields[0] == "X" || (fields[0] == "Z" && threads <= 1)) return {ProcessLook::kEnded};
  return look;
}

uint64_t OwnPidNamespace() {
  // A /proc of another namespace would show us other processes under our numbers.
  char self[32];
  const ssize_t length = readlink("/proc/self", self, sizeof(self));
  int64_t pid = 0;
  if (length <= 0 || !absl::SimpleAtoi(absl::string_view(self, length), &pid) || pid != getpid()) {
    return 0;
  }
  struct stat s;
  return stat("/proc/self/ns/pid", &s) == 0 ? s.st_ino : 0;
}

class RealHost final : public Host {
 public:
  RealHost() {
    utsname names;
    if (uname(&names) == 0) host_ = names.nodename;
    boot_id_ = ReadUpTo("/proc/sys/kernel/random/boot_id", '\n');
  }

  ProcessId Self() const override {
    ProcessId self;
    self.host = host_;
    self.boot_id = boot_id_;
    self.pid = getpid();
    self.start_time = LookAtProcess(self.pid).start_time;
    self.pid_namespace = OwnPidNamespace();
    self.uid = geteuid();
    return self;
  }

  Liveness Look(const ProcessId& process) const override {
    if (!IsHere(process)) return Liveness::kUnknown;
    const auto look = LookAtProcess(process.pid);
    if (look.state == ProcessLook::kHidden) return Liveness::kUnknown;
    // Another start time: the number was given to another process.
    return look.state == ProcessLook::kRuns && look.start_time == process.start_time
               ? Liveness::kAlive
               : Liveness::kDead;
  }

  int OpenPidfd(const ProcessId& process) const override {
    if (!IsHere(process)) return -1;
    const int fd = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
    if (fd < 0) return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    // The number may have been given to another process before the descriptor was opened.
    const auto look = LookAtProcess(process.pid);
    if (look.state != ProcessLook::kRuns || look.start_time != process.start_time) {
      close(fd);
      return -1;
    }
    return fd;
  }

  int Cpus() const override {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    return std::max(1, CPU_COUNT(&set));
  }

 private:
  bool IsHere(const ProcessId& process) const {
    return !boot_id_.empty() && process.boot_id == boot_id_ && process.pid > 0 &&
           process.start_time != 0 && process.pid_namespace != 0 &&
           process.pid_namespace == OwnPidNamespace();
  }

  std::string host_;
  std::string boot_id_;
};

}  // namespace

Host* Host::Real() {
  static RealHost* const host = new RealHost;
  return host;
}

bool SameHost(const ProcessId& a, const ProcessId& b) {
  return !a.boot_id.empty() && a.boot_id == b.boot_id && a.pid_namespace != 0 &&
         a.pid_namespace == b.pid_namespace;
}

std::string TemporaryName(const ProcessId& self) {
  return absl::StrCat(".tmp-", absl::string_view(self.boot_id).substr(0, 8), "-",
                      self.pid_namespace, "-", self.pid, "-", self.start_time, "-",
                      absl::BytesToHexString(RandomBytes(8)));
}

Liveness LookAtMaker(const Host& host, absl::string_view temporary_name) {
  if (!absl::ConsumePrefix(&temporary_name, ".tmp-")) return Liveness::kUnknown;
  const std::vector<absl::string_view> parts = absl::StrSplit(temporary_name, '-');
  ProcessId maker = host.Self();
  if (parts.size() != 5 || parts[0].size() != 8 ||
      parts[0] != absl::string_view(maker.boot_id).substr(0, 8) ||
      !absl::SimpleAtoi(parts[1], &maker.pid_namespace) ||
      !absl::SimpleAtoi(parts[2], &maker.pid) || !absl::SimpleAtoi(parts[3], &maker.start_time)) {
    return Liveness::kUnknown;
  }
  return host.Look(maker);
}

}  // namespace spoolrpc::os
