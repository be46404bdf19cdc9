#include "tests/failure/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace spoolrpc::failure {

std::unique_ptr<Process> Process::Start(const std::string& program,
                                        const std::vector<std::string>& arguments,
                                        const std::string& errors) {
  int pipe_fds[2];
  posix_spawn_file_actions_t actions;
  if (pipe2(pipe_fds, O_CLOEXEC) != 0 || posix_spawn_file_actions_init(&actions) != 0 ||
      posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO) != 0 ||
      (!errors.empty() &&
       posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(),
                                        O_WRONLY | O_CREAT | O_APPEND, 0600) != 0)) {
    perror("a pipe for a child process");
    abort();
  }
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_fds[1]);
  if (error != 0) {
    fprintf(stderr, "start %s: error %d\n", program.c_str(), error);
    abort();
  }
  fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
  return std::unique_ptr<Process>(new Process(pid, pipe_fds[0]));
}

Process::~Process() {
  Kill();
  close(output_);
}

void Process::Reap(int flags) {
  if (exit_.has_value()) return;
  int status = 0;
  if (waitpid(pid_, &status, flags) != pid_) return;
  if (WIFEXITED(status)) exit_ = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) exit_ = -WTERMSIG(status);
}

void Process::Send(int signal) {
  if (Ended()) return;
  kill(pid_, signal);
  if (signal == SIGSTOP) AwaitStopped(absl::Seconds(60));
}

void Process::Kill() {
  if (Ended()) return;
  kill(pid_, SIGKILL);
  Reap(0);
}

bool Process::Ended() {
  Reap(WNOHANG);
  return exit_.has_value();
}

bool Process::AwaitStopped(absl::Duration timeout) {
  return Await(timeout, [this] {
    siginfo_t info = {};
    return waitid(P_PID, pid_, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_ &&
           info.si_code == CLD_STOPPED;
  });
}

std::optional<int> Process::AwaitExit(absl::Duration timeout) {
  Await(timeout, [this] { return Ended(); });
  return exit_;
}

bool Process::ReadSome() {
  char bytes[4096];
  for (;;) {
    const ssize_t got = read(output_, bytes, sizeof(bytes));
    if (got == 0) return false;
    if (got < 0) return true;
    buffer_.append(bytes, got);
  }
}

std::optional<std::string> Process::NextLine(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (bool open = true;; open = ReadSome()) {
    if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    const absl::Duration left = deadline - absl::Now();
    if (!open || left <= absl::ZeroDuration()) return std::nullopt;
    pollfd fd = {output_, POLLIN, 0};
    poll(&fd, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
}

std::vector<std::string> Process::Lines() {
  std::vector<std::string> lines;
  while (auto line = NextLine(absl::ZeroDuration())) lines.push_back(*std::move(line));
  if (!lines.empty()) return lines;
  ReadSome();
  while (auto line = NextLine(absl::ZeroDuration())) lines.push_back(*std::move(line));
  return lines;
}

int Process::OpenFiles() const {
  int files = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(absl::StrCat("/proc/", pid_, "/fd"), error), end;
       !error && it != end; it.increment(error)) {
    ++files;
  }
  return files;
}

}  // namespace spoolrpc::failure
