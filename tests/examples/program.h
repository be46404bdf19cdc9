// A program under test: a real process, started as a user starts it, with what it printed.
#ifndef SPOOLRPC_TESTS_EXAMPLES_PROGRAM_H_
#define SPOOLRPC_TESTS_EXAMPLES_PROGRAM_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace spoolrpc::testing {

// Generous: only a failing test waits so long.
constexpr absl::Duration kLong = absl::Seconds(120);

// Evaluates `condition` again and again until it is true; false after `timeout`.
template <class Condition>
bool Await(const Condition& condition, absl::Duration timeout = kLong) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

// The bytes of a file; empty if there is none.
std::string ReadWholeFile(const std::string& path);
// A failure ends the test program.
void WriteWholeFile(const std::string& path, const std::string& bytes);

// Not thread-safe. The process is killed when the thread that started it ends.
class Program {
 public:
  // `arguments[0]` is the program: absolute, or relative to the test's runfiles. What it prints
  // goes to files named `name` in the directory `scratch`. A failure to start ends the test
  // program.
  Program(const std::string& scratch, const std::string& name,
          const std::vector<std::string>& arguments);
  // Kills it if it still runs.
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void Send(int signal);
  // The exit status, or minus the signal that ended it; none if it still runs after `timeout`.
  std::optional<int> AwaitExit(absl::Duration timeout = kLong);
  bool Ended();
  // What it has printed so far.
  std::string Output() const { return ReadWholeFile(output_path_); }
  std::string Errors() const { return ReadWholeFile(errors_path_); }
  // Waits until its output contains `text`; false after a long time, or if it ended without.
  bool AwaitOutput(const std::string& text);

 private:
  const std::string output_path_;
  const std::string errors_path_;
  pid_t pid_ = -1;
  std::optional<int> exit_;
};

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_EXAMPLES_PROGRAM_H_
