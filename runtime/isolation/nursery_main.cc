#include "spoolrpc/isolation/nursery_main.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "spoolrpc/isolation/child_main.h"

namespace spoolrpc::isolation {
namespace {

void IgnoreSignal(int /*signal*/) {}

// The server decides when its processes end, not a terminal's or a batch system's signal to all of
// them: a server that drains lets handlers finish. (Handled, not ignored: what a handler starts by
// exec() begins with the usual dispositions.)
void SetSignals() {
  struct sigaction action = {};
  action.sa_handler = IgnoreSignal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    sigaction(signal, &action, nullptr);
  }
  // Interrupts ppoll() below, and nothing else.
  action.sa_flags = 0;
  sigaction(SIGCHLD, &action, nullptr);
}

class NurseryLoop {
 public:
  NurseryLoop(int control, const std::vector<HandlerEntry>& handlers)
      : control_(control), handlers_(handlers) {
    // A server that has forgotten a child does not read how it ended.
    struct sigaction action = {};
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, &sigpipe_);
  }

  void Run() {
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_SETMASK, &block, nullptr);
    sigset_t none;
    sigemptyset(&none);
    for (;;) {
      pollfd fd = {control_, POLLIN, 0};
      const int ready = ppoll(&fd, 1, nullptr, &none);
      ReapChildren();
      if (ready <= 0) continue;
      NurseryRequest request = {};
      const ssize_t got = recv(control_, &request, sizeof(request), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got != sizeof(request)) {  // the server has ended
        for (const auto& [pid, fd] : children_) kill(-pid, SIGKILL);
        return;
      }
      if (request.number != 0) {
        Fork(request.number);
      } else if (children_.count(request.pid) > 0) {
        kill(-request.pid, SIGKILL);
      }
    }
  }

 private:
  void ReapChildren() {
    for (;;) {
      siginfo_t info = {};
      if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
      const pid_t pid = info.si_pid;
      // What it has started and left. Before it is waited for: until then its number is its own.
      const auto child = children_.find(pid);
      if (child != children_.end()) kill(-pid, SIGKILL);
      int status = 0;
      waitpid(pid, &status, 0);
      if (child == children_.end()) continue;
      // (An empty pipe takes an int.)
      [[maybe_unused]] const ssize_t written = write(child->second, &status, sizeof(status));
      close(child->second);
      children_.erase(child);
    }
  }

  void Fork(uint32_t number) {
    int calls[2] = {-1, -1};
    int reads[2] = {-1, -1};
    int end[2] = {-1, -1};
    NurseryAnswer answer = {number, 0, 0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, calls) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, reads) != 0 ||
        pipe2(end, O_CLOEXEC) != 0) {
      answer.error = errno;
    } else {
      const pid_t nursery = getpid();
      answer.pid = fork();
      if (answer.pid < 0) answer.error = errno;
      if (answer.pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != nursery) _exit(0);  // it ended before that was set
        for (const int fd : {control_, calls[0], reads[0], end[0], end[1]}) close(fd);
        for (const auto& [pid, fd] : children_) close(fd);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        signal(SIGCHLD, SIG_DFL);
        sigaction(SIGPIPE, &sigpipe_, nullptr);
        RunChild(calls[1], reads[1], handlers_);
      }
    }
    Answer(answer, calls[0], reads[0], end[0]);
    for (const int fd : {calls[0], calls[1], reads[0], reads[1], end[0]}) {
      if (fd >= 0) close(fd);
    }
    if (answer.error != 0) {
      if (end[1] >= 0) close(end[1]);
      return;
    }
    setpgid(answer.pid, answer.pid);  // whoever is first, so that it is done when it matters
    children_[answer.pid] = end[1];
  }

  void Answer(const NurseryAnswer& answer, int calls, int reads, int end) {
    NurseryAnswer copy = answer;
    iovec bytes = {&copy, sizeof(copy)};
    alignas(cmsghdr) char control[CMSG_SPACE(kChildDescriptors * sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    if (answer.error == 0) {
      const int fds[kChildDescriptors] = {calls, reads, end};
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      cmsghdr* const part = CMSG_FIRSTHDR(&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(sizeof(fds));
      memcpy(CMSG_DATA(part), fds, sizeof(fds));
    }
    while (sendmsg(control_, &message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  }

  const int control_;
  const std::vector<HandlerEntry>& handlers_;
  struct sigaction sigpipe_ = {};  // as the server had it
  std::map<pid_t, int> children_;  // where each one's wait status goes
};

}  // namespace

void RunNursery(int control, const std::vector<HandlerEntry>& handlers) {
  prctl(PR_SET_NAME, "spoolrpc-nurse");
  setpgid(0, 0);
  SetSignals();
  NurseryLoop(control, handlers).Run();
  // The children end with this process. (No destructors, and no buffers: they are the server's.)
  _exit(0);
}

}  // namespace spoolrpc::isolation
