#include "tests/examples/program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace spoolrpc::testing {
namespace {

[[noreturn]] void Die(const std::string& what) {
  perror(what.c_str());
  abort();
}

// In the child.
void Redirect(const std::string& path, int descriptor) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) Die(path);
  close(file);
}

}  // namespace

std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

void WriteWholeFile(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) Die("write " + path);
}

Program::Program(const std::string& scratch, const std::string& name,
                 const std::vector<std::string>& arguments)
    : output_path_(scratch + "/" + name + ".out"), errors_path_(scratch + "/" + name + ".err") {
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) Die("fork");
  if (pid_ > 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(125);
  Redirect("/dev/null", STDIN_FILENO);
  Redirect(output_path_, STDOUT_FILENO);
  Redirect(errors_path_, STDERR_FILENO);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(strdup(argument.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  Die(arguments[0]);
}

Program::~Program() {
  if (Ended()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Program::Send(int signal) {
  if (!Ended()) kill(pid_, signal);
}

bool Program::Ended() {
  int status = 0;
  if (!exit_.has_value() && waitpid(pid_, &status, WNOHANG) == pid_) {
    exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  return exit_.has_value();
}

std::optional<int> Program::AwaitExit(absl::Duration timeout) {
  Await([this] { return Ended(); }, timeout);
  return exit_;
}

bool Program::AwaitOutput(const std::string& text) {
  const auto printed = [&] { return Output().find(text) != std::string::npos; };
  Await([&] { return printed() || Ended(); });
  return printed();
}

}  // namespace spoolrpc::testing
