#include "benchmarks/client_settings.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "benchmarks/die.h"

ABSL_FLAG(std::string, address, "", "where the server is: a spool, or a socket's path");
ABSL_FLAG(std::string, mode, "latency", "what to measure: benchmarks/client.h has the list");
ABSL_FLAG(std::string, method, "Echo", "the method to call");
ABSL_FLAG(int, payload_bytes, 64, "size of the message's payload");
ABSL_FLAG(int, calls, 10000, "calls to time; of modes about channels: how many channels");
ABSL_FLAG(int, warmup, 1000, "calls before those");
ABSL_FLAG(absl::Duration, pause, absl::ZeroDuration(), "how long nobody calls before each call");
ABSL_FLAG(int, in_flight, 64, "threads or calls at once, in the modes that measure rates");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(1), "how long to measure a rate");
ABSL_FLAG(int, server_pid, 0, "the server's process, whose processor time counts too");
ABSL_FLAG(bool, await_start, false, "once connected, print \"ready\" and wait for a line of input");
ABSL_FLAG(std::string, times_file, "", "where to write the single times of calls");

namespace spoolrpc::benchmarks {

ClientSettings ParseClientSettings(int argc, char** argv) {
  absl::SetProgramUsageMessage("Calls an echo server and prints how long that takes.");
  absl::ParseCommandLine(argc, argv);
  ClientSettings settings;
  settings.address = absl::GetFlag(FLAGS_address);
  settings.mode = absl::GetFlag(FLAGS_mode);
  settings.method = absl::GetFlag(FLAGS_method);
  settings.payload_bytes = absl::GetFlag(FLAGS_payload_bytes);
  settings.calls = absl::GetFlag(FLAGS_calls);
  settings.warmup = absl::GetFlag(FLAGS_warmup);
  settings.pause = absl::GetFlag(FLAGS_pause);
  settings.in_flight = absl::GetFlag(FLAGS_in_flight);
  settings.duration = absl::GetFlag(FLAGS_duration);
  settings.server = absl::GetFlag(FLAGS_server_pid);
  settings.await_start = absl::GetFlag(FLAGS_await_start);
  settings.times_file = absl::GetFlag(FLAGS_times_file);
  if (settings.calls < 1 || settings.in_flight < 1) Die("--calls and --in_flight: at least 1");
  // A thousand channels have some thousand descriptors.
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  return settings;
}

void TellReadyAndWait() {
  printf("ready\n");
  fflush(stdout);
  char byte = 0;
  while (byte != '\n') {
    const ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got == 0 || (got < 0 && errno != EINTR)) return;
  }
}

void AwaitEndOfInput() {
  char byte;
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got == 0 || (got < 0 && errno != EINTR)) return;
  }
}

void PrintResults(const std::string& line) {
  printf("%s\n", line.c_str());
  fflush(stdout);
}

void WriteTimes(const std::string& path, const std::vector<double>& times_us) {
  FILE* const file = fopen(path.c_str(), "w");
  if (file == nullptr) Die("cannot write " + path);
  for (const double time : times_us) fprintf(file, "%.3f\n", time);
  if (fclose(file) != 0) Die("cannot write " + path);
}

}  // namespace spoolrpc::benchmarks
