#include "benchmarks/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace spoolrpc::benchmarks {
namespace {

absl::Status Failed(absl::string_view operation, int error) {
  return absl::UnknownError(absl::StrCat(operation, ": ", strerror(error)));
}

struct Child {
  pid_t pid = -1;
  int input = -1;   // of the child's, to write; -1: it has none
  int output = -1;  // of the child's, to read
};

absl::StatusOr<Child> Spawn(const std::vector<std::string>& command, bool with_input) {
  int in[2] = {-1, -1};
  int out[2];
  // (Close-on-exec: no other child may hold a server's input open.)
  if (pipe2(out, O_CLOEXEC) != 0 || (with_input && pipe2(in, O_CLOEXEC) != 0)) {
    return Failed("pipe", errno);
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  if (with_input) posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  Child child;
  const int error = posix_spawn(&child.pid, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  if (with_input) close(in[0]);
  child.output = out[0];
  child.input = in[1];
  if (error != 0) {
    close(child.output);
    if (with_input) close(child.input);
    return Failed(absl::StrCat("run ", command[0]), error);
  }
  return child;
}

// True if the child ended with status 0.
bool Reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

absl::StatusOr<std::string> Sibling(absl::string_view relative) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path path =
      (self.parent_path() / std::string(relative)).lexically_normal();
  if (error || !std::filesystem::exists(path, error)) {
    return absl::NotFoundError(
        absl::StrCat(path.string(), " is not there: build it with bazel, as tools/bench.sh does"));
  }
  return path.string();
}

Results ParseResults(absl::string_view line) {
  Results results;
  for (const absl::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(word, absl::MaxSplits('=', 1));
    double value;
    if (absl::SimpleAtod(parts.second, &value)) results[std::string(parts.first)] = value;
  }
  return results;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

absl::StatusOr<Results> RunProgram(const std::vector<std::string>& command) {
  const auto child = Spawn(command, /*with_input=*/false);
  if (!child.ok()) return child.status();
  std::string output;
  char bytes[4096];
  for (;;) {
    const ssize_t got = read(child->output, bytes, sizeof(bytes));
    if (got > 0) {
      output.append(bytes, got);
    } else if (got == 0 || errno != EINTR) {
      break;
    }
  }
  close(child->output);
  if (!Reap(child->pid)) {
    return absl::UnknownError(absl::StrCat("failed: ", absl::StrJoin(command, " ")));
  }
  const std::vector<absl::string_view> lines = absl::StrSplit(output, '\n', absl::SkipEmpty());
  return ParseResults(lines.empty() ? "" : lines.back());
}

absl::StatusOr<std::unique_ptr<RunningServer>> RunningServer::Start(
    const std::vector<std::string>& command) {
  const auto child = Spawn(command, /*with_input=*/true);
  if (!child.ok()) return child.status();
  auto server =
      std::unique_ptr<RunningServer>(new RunningServer(child->pid, child->input, child->output));
  std::string line;
  char byte;
  ssize_t got;
  while ((got = read(child->output, &byte, 1)) > 0 || (got < 0 && errno == EINTR)) {
    if (got < 0) continue;
    if (byte == '\n') break;
    line.push_back(byte);
  }
  if (line != "ready") {
    return absl::UnknownError(
        absl::StrCat("did not get ready: ", absl::StrJoin(command, " "), "; it said: ", line));
  }
  return server;
}

RunningServer::~RunningServer() {
  close(input_);
  Reap(pid_);
  close(output_);
}

absl::StatusOr<std::unique_ptr<TemporaryDirectory>> TemporaryDirectory::Create(
    const std::string& parent) {
  std::string path = absl::StrCat(parent, "/spoolrpc-bench.XXXXXX");
  if (mkdtemp(&path[0]) == nullptr) return Failed(absl::StrCat("mkdtemp ", path), errno);
  return std::unique_ptr<TemporaryDirectory>(new TemporaryDirectory(std::move(path)));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace spoolrpc::benchmarks
