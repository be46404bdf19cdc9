// A child process of a test: started, watched, stopped, killed.
#ifndef SPOOLRPC_TESTS_FAILURE_PROCESS_H_
#define SPOOLRPC_TESTS_FAILURE_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace spoolrpc::failure {

// Not thread-safe. Start them on the test's first thread: the helper programs end with the thread
// that started them.
class Process {
 public:
  // Starts `program`, a path in the test's runfiles. Its output is read through Lines(), what it
  // says on stderr goes to the file `errors`, or to the test's stderr if that is empty. A failure
  // to start ends the test program.
  static std::unique_ptr<Process> Start(const std::string& program,
                                        const std::vector<std::string>& arguments,
                                        const std::string& errors = "");
  // Kills it, if it still runs.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // SIGSTOP returns when the process has stopped.
  void Send(int signal);
  // kill -9, and waits for the end.
  void Kill();
  // True if it has ended.
  bool Ended();
  // Waits until the process has stopped itself; false after `timeout`.
  bool AwaitStopped(absl::Duration timeout);
  // Waits until it has ended by itself; none after `timeout`. The exit code, or minus the signal.
  std::optional<int> AwaitExit(absl::Duration timeout);
  // Waits for the next whole line of its output; none after `timeout` or at the end of the output.
  std::optional<std::string> NextLine(absl::Duration timeout);
  // Takes what is there without waiting, and returns all whole lines that NextLine() did not.
  std::vector<std::string> Lines();
  // Descriptors that it has open.
  int OpenFiles() const;

 private:
  Process(pid_t pid, int output) : pid_(pid), output_(output) {}
  // Reads what is there; false at the end of the output.
  bool ReadSome();
  void Reap(int flags);

  const pid_t pid_;
  const int output_;
  std::string buffer_;
  std::optional<int> exit_;
};

// Evaluates `condition` again and again until it is true; false after `timeout`.
template <class Condition>
bool Await(absl::Duration timeout, const Condition& condition) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() >= deadline) return condition();
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

}  // namespace spoolrpc::failure

#endif  // SPOOLRPC_TESTS_FAILURE_PROCESS_H_
