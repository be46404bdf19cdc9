// Starting the contenders' programs and reading what they print, for drivers.
#ifndef SPOOLRPC_BENCHMARKS_PROGRAMS_H_
#define SPOOLRPC_BENCHMARKS_PROGRAMS_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spoolrpc::benchmarks {

// The path of another program of this build: `relative` to the directory of this one.
absl::StatusOr<std::string> Sibling(absl::string_view relative);

// Numbers by name, from a line of NAME=NUMBER words; other words are left out.
using Results = std::map<std::string, double>;
Results ParseResults(absl::string_view line);
double Median(std::vector<double> values);

// Runs a program to its end (no shell) and returns what its last line of output says. UNKNOWN, with
// the command, if it fails. Blocks as long as the program runs.
absl::StatusOr<Results> RunProgram(const std::vector<std::string>& command);

// A server program, from its line "ready" to the end of this object, which closes its standard
// input and waits for it. Not thread-safe.
class RunningServer {
 public:
  static absl::StatusOr<std::unique_ptr<RunningServer>> Start(
      const std::vector<std::string>& command);
  ~RunningServer();
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  pid_t pid() const { return pid_; }

 private:
  RunningServer(pid_t pid, int input, int output) : pid_(pid), input_(input), output_(output) {}

  const pid_t pid_;
  const int input_;
  const int output_;
};

// A new directory, removed with all that is in it.
class TemporaryDirectory {
 public:
  static absl::StatusOr<std::unique_ptr<TemporaryDirectory>> Create(const std::string& parent);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}

  const std::string path_;
};

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_PROGRAMS_H_
