// All that a channel or a server counts: ChannelOptions.metrics, ServerBuilder::set_metrics().
#ifndef SPOOLRPC_METRICS_REGISTRY_H_
#define SPOOLRPC_METRICS_REGISTRY_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/metrics/call_metrics.h"
#include "spoolrpc/metrics/counting_system_calls.h"
#include "spoolrpc/metrics/gauge.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::metrics {

enum class Role { kClient, kServer };

// Names and values. A name is [a-zA-Z_][a-zA-Z0-9_]*, a value any UTF-8.
using Labels = std::vector<std::pair<std::string, std::string>>;

// Thread-safe. What it hands out lives as long as it does. Channels may share one, and so may
// servers: it then has what they count together.
class Registry {
 public:
  // `labels` are put on every sample, beside the role, so that several channels of one process can
  // be told apart ({{"spool", "/scratch/me/spool"}}). They must not be called role, method, code,
  // queue, operation, le or quantile.
  explicit Registry(Role role, Labels labels = {});
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The method's metrics, made when it is first asked for and kept for good: a server must ask for
  // methods that it has, never for names that a client made up. Takes a lock: keep the result.
  CallMetrics* ForMethod(absl::string_view full_name) ABSL_LOCKS_EXCLUDED(mu_);
  // How many calls wait in the queue of this name (a server's: "default", "streams", or a method's
  // own pool). Several queues may share a name: whoever has one adds and subtracts.
  Gauge* QueueLength(absl::string_view queue) ABSL_LOCKS_EXCLUDED(mu_);
  // Passes system calls on to `below`, which must outlive what is returned, and counts them as
  // file-system operations. Made once for each `below`, and counted for good; may outlive the
  // registry.
  std::shared_ptr<os::SystemCalls> CountFileOperations(os::SystemCalls* below)
      ABSL_LOCKS_EXCLUDED(mu_);

  Role role() const { return role_; }
  const Labels& labels() const { return labels_; }

  // By name.
  std::vector<MethodSummary> Summaries() const ABSL_LOCKS_EXCLUDED(mu_);
  std::map<std::string, int64_t> QueueLengths() const ABSL_LOCKS_EXCLUDED(mu_);
  FileOperationCounts FileOperations() const ABSL_LOCKS_EXCLUDED(mu_);

  // As open_metrics.h says, for this registry alone.
  std::string OpenMetricsText() const;
  // Writes that text for node_exporter's textfile collector, which looks for names in ".prom".
  absl::Status WriteTextfile(const std::string& path,
                             os::SystemCalls* calls = os::SystemCalls::Real()) const;

 private:
  const Role role_;
  const Labels labels_;
  mutable absl::Mutex mu_;
  std::map<std::string, std::unique_ptr<CallMetrics>, std::less<>> methods_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::unique_ptr<Gauge>, std::less<>> queues_ ABSL_GUARDED_BY(mu_);
  // By what is below them.
  std::map<os::SystemCalls*, std::shared_ptr<CountingSystemCalls>> file_operations_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::metrics

#endif  // SPOOLRPC_METRICS_REGISTRY_H_
