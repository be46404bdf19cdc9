#include "spoolrpc/isolation/nursery.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "spoolrpc/isolation/nursery_main.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::isolation {
namespace {

// A nursery that has not answered by then is stopped, or the machine is.
constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr absl::Duration kEndPatience = absl::Seconds(5);

// Threads of this process; 1 if the kernel does not tell.
int CountThreads() {
  DIR* const tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return 1;
  int count = 0;
  while (const dirent* const task = readdir(tasks)) {  // NOLINT(concurrency-mt-unsafe)
    if (task->d_name[0] != '.') ++count;
  }
  closedir(tasks);
  return std::max(count, 1);
}

absl::Status Gone() {
  return absl::UnavailableError(
      "the process that starts the processes of isolated methods has ended; restart the server");
}

// Takes the descriptors out of `message`.
std::vector<int> TakeDescriptors(msghdr* message) {
  std::vector<int> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const size_t before = fds.size();
    fds.resize(before + count);
    memcpy(&fds[before], CMSG_DATA(part), count * sizeof(int));
  }
  return fds;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Nursery>> Nursery::Start(std::vector<HandlerEntry> handlers) {
  if (const int threads = CountThreads(); threads > 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        handlers.front().info->full_name,
        " has `isolation: PROCESS`: its processes must be started before "
        "any thread, and this process has ",
        threads,
        "; build this server first, before channels, other servers and threads of your own"));
  }
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return os::ErrnoToStatus(errno, "socketpair", "for isolated methods");
  }
  // What is buffered now would be written by every child.
  fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) {
    const int error = errno;
    close(sockets[0]);
    close(sockets[1]);
    return os::ErrnoToStatus(error, "fork", "for isolated methods");
  }
  if (pid == 0) {
    close(sockets[0]);
    RunNursery(sockets[1], handlers);
  }
  close(sockets[1]);
  return std::unique_ptr<Nursery>(new Nursery(pid, sockets[0]));
}

Nursery::~Nursery() {
  close(control_);
  // It ends at once, unless somebody has stopped it. (ECHILD: the program has waited for it, or
  // ignores its children.)
  const absl::Time patience = absl::Now() + kEndPatience;
  bool killed = false;
  for (;;) {
    const pid_t ended = waitpid(pid_, nullptr, killed ? 0 : WNOHANG);
    if (ended == pid_ || (ended < 0 && errno != EINTR)) return;
    if (!killed && absl::Now() > patience) {
      kill(pid_, SIGKILL);
      killed = true;
    }
    if (!killed) poll(nullptr, 0, 1);
  }
}

absl::StatusOr<std::unique_ptr<Child>> Nursery::NewChild() {
  absl::MutexLock lock(&mu_);
  const NurseryRequest request = {++last_request_, 0};
  if (send(control_, &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request)) return Gone();
  const absl::Time deadline = absl::Now() + kPatience;
  for (;;) {
    pollfd fd = {control_, POLLIN, 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) {
      return absl::UnavailableError(
          absl::StrCat("the process that starts the processes of isolated methods (pid ", pid_,
                       ") does not answer; is it stopped?"));
    }
    if (poll(&fd, 1, static_cast<int>(left)) <= 0) continue;
    NurseryAnswer answer = {};
    iovec bytes = {&answer, sizeof(answer)};
    alignas(cmsghdr) char control[CMSG_SPACE(kChildDescriptors * sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = recvmsg(control_, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof(answer)) return Gone();
    const std::vector<int> fds = TakeDescriptors(&message);
    // (The answer to an earlier request that was not waited for: that child ends as its sockets
    // close.)
    if (answer.number == request.number && answer.error == 0 && fds.size() == kChildDescriptors) {
      return std::make_unique<Child>(this, answer.pid, fds[0], fds[1], fds[2]);
    }
    for (const int descriptor : fds) close(descriptor);
    if (answer.number != request.number) continue;
    if (answer.error == 0) {
      return absl::ResourceExhaustedError(
          "no descriptors left for another process of an isolated method; raise ulimit -n");
    }
    return os::ErrnoToStatus(answer.error, "fork", "for an isolated method");
  }
}

void Nursery::Kill(pid_t child) {
  const NurseryRequest request = {0, child};
  send(control_, &request, sizeof(request), MSG_NOSIGNAL);
}

}  // namespace spoolrpc::isolation
