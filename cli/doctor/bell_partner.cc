#include "cli/doctor/bell_partner.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "spoolrpc/os/system_calls.h"
#include "spoolrpc/wait/doorbell.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr int kPatienceMs = 5000;
constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr size_t kMaxMessage = 16 * 1024;

bool Readable(int fd, int timeout_ms) {
  pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, timeout_ms) == 1;
}

// The other process: serves one engagement, until the socket is closed.
void Serve(int socket) {
  std::string message(kMaxMessage, '\0');
  const ssize_t got = recv(socket, message.data(), message.size(), 0);
  if (got <= 0) return;
  const std::vector<std::string> paths =
      absl::StrSplit(absl::string_view(message).substr(0, got), '\0');
  if (paths.size() != 2) return;
  os::SystemCalls* const calls = os::SystemCalls::Real();
  const auto questions = wait::Doorbell::Attach(calls, paths[0], geteuid());
  const auto answers = wait::Doorbell::Attach(calls, paths[1], geteuid());
  std::string reply;
  if (!questions.ok()) reply = std::string(questions.status().message());
  if (!answers.ok()) reply = std::string(answers.status().message());
  uint32_t seen = 0;
  if (reply.empty()) {
    (*answers)->Echo(0);
    seen = (*questions)->counter();
  }
  reply.push_back('\n');
  if (send(socket, reply.data(), reply.size(), MSG_NOSIGNAL) < 0 || reply != "\n") return;
  uint64_t position = 0;
  while (!Readable(socket, 0)) {
    (*questions)->Sleep(seen, absl::ToInt64Nanoseconds(kLook));
    if (const uint32_t counter = (*questions)->counter(); counter != seen) {
      seen = counter;
      (*answers)->Ring(0, ++position);
    }
  }
}

}  // namespace

std::unique_ptr<BellPartner> BellPartner::Start() {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) return nullptr;
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(sockets[0]);
    Serve(sockets[1]);
    _exit(0);
  }
  close(sockets[1]);
  if (pid < 0) {
    close(sockets[0]);
    return nullptr;
  }
  return std::unique_ptr<BellPartner>(new BellPartner(pid, sockets[0]));
}

BellPartner::~BellPartner() {
  close(socket_);
  // It may hang in the file system, where it is of no use to wait for it.
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, WNOHANG);
}

absl::Status BellPartner::Engage(const std::string& questions, const std::string& answers) {
  std::string message = questions;
  message.push_back('\0');
  message += answers;
  if (message.size() > kMaxMessage ||
      send(socket_, message.data(), message.size(), MSG_NOSIGNAL) < 0) {
    return absl::UnavailableError("the other process is gone");
  }
  if (!Readable(socket_, kPatienceMs)) {
    return absl::DeadlineExceededError("the other process could not map the files in time");
  }
  std::string reply(kMaxMessage, '\0');
  const ssize_t got = recv(socket_, reply.data(), reply.size(), 0);
  if (got <= 0) return absl::UnavailableError("the other process is gone");
  reply.resize(got - 1);
  if (!reply.empty()) return absl::FailedPreconditionError(reply);
  return absl::OkStatus();
}

}  // namespace spoolrpc::cli::doctor
