// Runs the real programs: spoolrpc, and the greeter's server and client.
#ifndef SPOOLRPC_TESTS_CLI_PROGRAMS_H_
#define SPOOLRPC_TESTS_CLI_PROGRAMS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace spoolrpc::cli {

constexpr char kSpoolrpc[] = "cli/spoolrpc";
constexpr char kGreeterServer[] = "examples/greeter/greeter_server";
constexpr char kGreeterClient[] = "examples/greeter/greeter_client";

// A child process. Start it on the test's first thread: it ends with the thread that started it.
// Not thread-safe.
class Program {
 public:
  // `program` is a path in the runfiles. Its output goes to files under `scratch`, which must
  // outlive it. A failure to start ends the test.
  Program(const std::string& scratch, const std::string& program,
          const std::vector<std::string>& arguments);
  // Kills it, if it still runs.
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void Send(int signal) const;
  // Waits for its end. The exit status; 128 plus the signal that ended it; -1 if it still runs
  // after a minute.
  int Wait();
  bool running();
  // What it has written so far.
  std::string out() const;
  std::string err() const;
  // Waits until its output contains `text`; false after a minute, or if it ends without.
  bool AwaitOut(absl::string_view text);

 private:
  const std::string path_;  // of its output, without ".out" or ".err"
  pid_t pid_ = -1;
  int status_ = -1;
};

struct Outcome {
  int status;
  std::string out;
  std::string err;
};

// Runs `program` to its end.
Outcome RunProgram(const std::string& scratch, const std::string& program,
                   const std::vector<std::string>& arguments);

// A server of helloworld.Greeter on `spool`, once it serves.
std::unique_ptr<Program> StartGreeter(const std::string& scratch, const std::string& spool);

// The paths of the files below `directory`, without it, sorted.
std::vector<std::string> FilesBelow(const std::string& directory);
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, absl::string_view content);

// Makes `copy`, a copy of a spool with one session that has made calls and is still open; the
// processes are stopped while it is copied.
void CopyLivingSpool(const std::string& scratch, const std::string& copy);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_TESTS_CLI_PROGRAMS_H_
