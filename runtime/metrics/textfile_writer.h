// Keeps the file up to date that node_exporter's textfile collector reads.
#ifndef SPOOLRPC_METRICS_TEXTFILE_WRITER_H_
#define SPOOLRPC_METRICS_TEXTFILE_WRITER_H_

#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::metrics {

// On a thread of its own, since file calls may block. Start() and Stop() are for one thread.
class TextfileWriter {
 public:
  // Told when writing begins to fail, and, with OK, when it goes well again. On the writer's thread
  // or in Stop(); may be null.
  using ReportFn = std::function<void(const absl::Status&)>;

  // `registry` and `calls` must outlive it. Touches no file yet.
  TextfileWriter(const Registry* registry, std::string path, absl::Duration interval,
                 os::SystemCalls* calls, ReportFn report);
  // Stops.
  ~TextfileWriter();

  // Writes it now. An error names the path.
  absl::Status Write() const { return registry_->WriteTextfile(path_, calls_); }
  // Writes it after each `interval` from now on.
  void Start();
  // Writes it once more, if it was started, and no more after that. Waits for the file calls.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void WriteAndReport();

  const Registry* const registry_;
  const std::string path_;
  const absl::Duration interval_;
  os::SystemCalls* const calls_;
  const ReportFn report_;
  bool failing_ = false;  // of who writes: the thread, and after its end Stop()
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace spoolrpc::metrics

#endif  // SPOOLRPC_METRICS_TEXTFILE_WRITER_H_
