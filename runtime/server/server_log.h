// A server's own log: a file under the spool, and stderr, or the program's sink.
#ifndef SPOOLRPC_SERVER_SERVER_LOG_H_
#define SPOOLRPC_SERVER_SERVER_LOG_H_

#include <deque>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/rpc/log_sink.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::server {

// Thread-safe. Messages for the file are kept until Drain(), so that only the thread that may block
// on the file system touches it.
class ServerLog {
 public:
  // `sink` null: the file `logs/SERVER.log` and stderr. The sink must outlive the log.
  ServerLog(LogLevel level, LogSink* sink) : level_(level), sink_(sink) {}

  // Opens the file, and removes the logs of former servers beyond the newest few.
  void OpenFile(const spool::Spool& spool, const std::string& server_id);

  void Log(LogLevel level, absl::string_view message) ABSL_LOCKS_EXCLUDED(mu_);
  // Writes what has gathered. For one thread; blocks as the file system does.
  void Drain() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const LogLevel level_;
  LogSink* const sink_;
  absl::Mutex mu_;
  std::deque<std::string> lines_ ABSL_GUARDED_BY(mu_);
  uint64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  // Of the thread that drains.
  std::unique_ptr<os::File> file_;
  uint64_t size_ = 0;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_SERVER_LOG_H_
