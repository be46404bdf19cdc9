// What a driver asks of a contender's client: its flags, and how the two talk.
#ifndef SPOOLRPC_BENCHMARKS_CLIENT_SETTINGS_H_
#define SPOOLRPC_BENCHMARKS_CLIENT_SETTINGS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace spoolrpc::benchmarks {

struct ClientSettings {
  std::string address;  // a spool, or a socket's path
  std::string mode;     // benchmarks/client.h lists them
  std::string method;   // that is called
  int payload_bytes = 0;
  int warmup = 0;  // calls that do not count, in the modes that time calls
  int calls = 0;   // calls that do; in the modes about channels, how many of these
  absl::Duration pause;
  int in_flight = 0;  // threads, or calls
  absl::Duration duration;
  pid_t server = 0;  // 0: not known
  bool await_start = false;
  std::string times_file;  // empty: none
};

// From the command line. A wrong one ends the program.
ClientSettings ParseClientSettings(int argc, char** argv);

// Prints "ready" and waits for a line of standard input, or its end: what others do at the same
// time begins then.
void TellReadyAndWait();
// Waits for the end of standard input: whoever started this program wants no more, or has ended.
void AwaitEndOfInput();
// Prints the line of results.
void PrintResults(const std::string& line);
// Writes one time a line, in microseconds, to the file `path`.
void WriteTimes(const std::string& path, const std::vector<double>& times_us);

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_CLIENT_SETTINGS_H_
