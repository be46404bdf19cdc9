#include "benchmarks/contender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/time/time.h"
#include "benchmarks/measure.h"

ABSL_FLAG(std::string, address, "", "where the server is: a spool, or a socket's path");
ABSL_FLAG(int, calls, 10000, "calls to time, one after another");
ABSL_FLAG(int, warmup, 1000, "calls before those");
ABSL_FLAG(int, threads, 0, "if above 0: measure the rate of so many threads instead");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(1), "how long to measure the rate");
ABSL_FLAG(int, payload_bytes, 64, "size of the message's payload");
ABSL_FLAG(int, max_message_bytes, 2000000000, "the largest message that both sides send and take");

namespace spoolrpc::benchmarks {

void Die(const std::string& message) {
  fprintf(stderr, "benchmark: %s\n", message.c_str());
  _exit(1);
}

int MaxMessageBytes() { return absl::GetFlag(FLAGS_max_message_bytes); }

void CheckEcho(absl::string_view reply, absl::string_view payload) {
  if (reply != payload) Die("the echo differs from the request");
}

EchoMessage EchoRequest(const std::string& payload) {
  EchoMessage request;
  request.set_payload(payload);
  return request;
}

int ClientMain(int argc, char** argv,
               EchoCall (*connect)(const std::string& address, const std::string& payload)) {
  absl::SetProgramUsageMessage("Calls an echo server and prints how long that takes.");
  absl::ParseCommandLine(argc, argv);
  const EchoCall call = connect(absl::GetFlag(FLAGS_address),
                                std::string(absl::GetFlag(FLAGS_payload_bytes), 'x'));
  call();  // connects
  const int threads = absl::GetFlag(FLAGS_threads);
  const std::string line =
      threads > 0 ? FormatRate(MeasureRate(threads, absl::GetFlag(FLAGS_duration), call))
                  : Format(MeasureLatency(absl::GetFlag(FLAGS_warmup), absl::GetFlag(FLAGS_calls),
                                          call));
  printf("%s\n", line.c_str());
  return 0;
}

int ServerMain(int argc, char** argv, std::shared_ptr<void> (*start)(const std::string& address)) {
  absl::SetProgramUsageMessage("Serves EchoService until its standard input ends.");
  absl::ParseCommandLine(argc, argv);
  const std::shared_ptr<void> server = start(absl::GetFlag(FLAGS_address));
  printf("ready\n");
  fflush(stdout);
  char byte;
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got == 0 || (got < 0 && errno != EINTR)) return 0;
  }
}

}  // namespace spoolrpc::benchmarks
