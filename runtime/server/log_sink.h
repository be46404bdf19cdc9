// Where a server's own messages go.
#ifndef SPOOLRPC_SERVER_LOG_SINK_H_
#define SPOOLRPC_SERVER_LOG_SINK_H_

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace spoolrpc {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kNone };

// Implemented by a program that wants a server's messages elsewhere than in the spool's log file
// and on stderr.
class LogSink {
 public:
  virtual ~LogSink() = default;
  // One message without a line end. Called from any thread; must not block for long and must not
  // call the server.
  virtual void Log(LogLevel level, absl::Time time, absl::string_view message) = 0;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_LOG_SINK_H_
