// Where the runtime's own messages go: a server's, and a channel's.
#ifndef SPOOLRPC_RPC_LOG_SINK_H_
#define SPOOLRPC_RPC_LOG_SINK_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace spoolrpc {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kNone };

// Implemented by a program that wants the messages of a server or a channel elsewhere than on
// stderr (a server's also go to a log file of the spool).
class LogSink {
 public:
  virtual ~LogSink() = default;
  // One message without a line end. Called from any thread; must not block for long and must not
  // call the server or the channel whose message it is.
  virtual void Log(LogLevel level, absl::Time time, absl::string_view message) = 0;
};

namespace rpc {

// "2026-01-31 12:00:00.123+01:00 WARNING message" with a line end, in local time.
std::string LogLine(LogLevel level, absl::Time time, absl::string_view message);

// Hands the message to `sink`, or writes it to stderr if that is null.
void Log(LogSink* sink, LogLevel level, absl::string_view message);

}  // namespace rpc
}  // namespace spoolrpc

#endif  // SPOOLRPC_RPC_LOG_SINK_H_
