// What the echo programs of all contenders have in common: flags, the message, and when they end.
#ifndef SPOOLRPC_BENCHMARKS_CONTENDER_H_
#define SPOOLRPC_BENCHMARKS_CONTENDER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "benchmarks/echo.pb.h"

namespace spoolrpc::benchmarks {

// Prints the message and ends the process: a benchmark with a failed call has no result.
[[noreturn]] void Die(const std::string& message);

// The largest message that both sides send and take, in bytes: --max_message_bytes.
int MaxMessageBytes();

// A client's main(). Flags: --address (what `connect` gets), and either --calls with --warmup, for
// one call in flight, or --threads with --duration, for calls a second; --payload_bytes. `connect`
// returns a function that makes one blocking call with that payload, on any of many threads at
// once, and checks the reply with CheckEcho(). Prints one line (benchmarks/measure.h).
using EchoCall = std::function<void()>;
int ClientMain(int argc, char** argv,
               EchoCall (*connect)(const std::string& address, const std::string& payload));

// Dies if the two differ.
void CheckEcho(absl::string_view reply, absl::string_view payload);

// A message with that payload.
EchoMessage EchoRequest(const std::string& payload);

// A server's main(). `start` starts a server at --address and returns what keeps it alive. Prints
// "ready" then, and ends when its standard input does: with whoever started it.
int ServerMain(int argc, char** argv, std::shared_ptr<void> (*start)(const std::string& address));

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_CONTENDER_H_
