#include "spoolrpc/rpc/log_sink.h"

#include <stdio.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace spoolrpc::rpc {
namespace {

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarning:
      return "WARNING";
    default:
      return "ERROR";
  }
}

}  // namespace

std::string LogLine(LogLevel level, absl::Time time, absl::string_view message) {
  return absl::StrCat(absl::FormatTime("%Y-%m-%d %H:%M:%E3S%Ez", time, absl::LocalTimeZone()), " ",
                      LevelName(level), " ", message, "\n");
}

void Log(LogSink* sink, LogLevel level, absl::string_view message) {
  const absl::Time now = absl::Now();
  if (sink != nullptr) {
    sink->Log(level, now, message);
    return;
  }
  const std::string line = LogLine(level, now, message);
  fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace spoolrpc::rpc
