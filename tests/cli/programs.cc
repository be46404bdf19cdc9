#include "tests/cli/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace spoolrpc::cli {
namespace {

constexpr absl::Duration kLongest = absl::Minutes(1);

std::string Runfile(const std::string& program) {
  const char* const directory = getenv("TEST_SRCDIR");
  const char* const workspace = getenv("TEST_WORKSPACE");
  if (directory == nullptr || workspace == nullptr) return program;
  return absl::StrCat(directory, "/", workspace, "/", program);
}

}  // namespace

Program::Program(const std::string& scratch, const std::string& program,
                 const std::vector<std::string>& arguments)
    : path_([&scratch] {
        static int count = 0;
        return absl::StrCat(scratch, "/program-", ++count);
      }()) {
  std::vector<std::string> words = {Runfile(program)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::string out = path_ + ".out";
  const std::string err = path_ + ".err";
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out_fd < 0 || err_fd < 0 || dup2(out_fd, 1) < 0 || dup2(err_fd, 2) < 0) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  if (pid_ < 0) {
    perror("fork");
    abort();
  }
}

Program::~Program() {
  if (running()) {
    Send(SIGKILL);
    Wait();
  }
}

void Program::Send(int signal) const { kill(pid_, signal); }

bool Program::running() {
  if (status_ >= 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

int Program::Wait() {
  const absl::Time end = absl::Now() + kLongest;
  while (running() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(2));
  return status_;
}

std::string Program::out() const { return ReadFile(path_ + ".out"); }
std::string Program::err() const { return ReadFile(path_ + ".err"); }

bool Program::AwaitOut(absl::string_view text) {
  const absl::Time end = absl::Now() + kLongest;
  while (!absl::StrContains(out(), text)) {
    if (!running() || absl::Now() >= end) return absl::StrContains(out(), text);
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

Outcome RunProgram(const std::string& scratch, const std::string& program,
                   const std::vector<std::string>& arguments) {
  Program run(scratch, program, arguments);
  const int status = run.Wait();
  return {status, run.out(), run.err()};
}

std::unique_ptr<Program> StartGreeter(const std::string& scratch, const std::string& spool) {
  auto server = std::make_unique<Program>(
      scratch, kGreeterServer, std::vector<std::string>{absl::StrCat("--spool=", spool)});
  EXPECT_TRUE(server->AwaitOut("Server listening")) << server->err();
  return server;
}

std::vector<std::string> FilesBelow(const std::string& directory) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) {
      files.push_back(entry.path().string().substr(directory.size() + 1));
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  return content.str();
}

void WriteFile(const std::string& path, absl::string_view content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << content;
  out.close();
  EXPECT_TRUE(out) << path;
}

void CopyLivingSpool(const std::string& scratch, const std::string& copy) {
  const std::string spool = absl::StrCat(scratch, "/living");
  const auto server = StartGreeter(scratch, spool);
  // More calls than it will have time for.
  Program client(scratch, kGreeterClient,
                 {absl::StrCat("--spool=", spool), "--calls=100000000", "--ack_timeout=60s"});
  // Output is buffered: what is seen of it are some hundred calls.
  ASSERT_TRUE(client.AwaitOut("Hello world")) << client.err();
  client.Send(SIGSTOP);
  server->Send(SIGSTOP);
  int status = 0;
  ASSERT_EQ(waitpid(client.pid(), &status, WUNTRACED), client.pid());
  ASSERT_TRUE(WIFSTOPPED(status)) << client.err();
  ASSERT_EQ(waitpid(server->pid(), &status, WUNTRACED), server->pid());
  ASSERT_TRUE(WIFSTOPPED(status)) << server->err();
  std::filesystem::copy(spool, copy, std::filesystem::copy_options::recursive);
}

}  // namespace spoolrpc::cli
