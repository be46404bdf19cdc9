// Registries as text that Prometheus and its kin read (OpenMetrics 1.0).
#ifndef SPOOLRPC_METRICS_OPEN_METRICS_H_
#define SPOOLRPC_METRICS_OPEN_METRICS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::metrics {

class Registry;

// One text of all `registries`, of which no two may have the same role and labels. It ends with
// "# EOF" and has no timestamps. Times are in seconds, sizes in bytes, counted from when the
// registry was made. Each sample has the registry's labels and `role` ("client" or "server"):
//
//   spoolrpc_calls_started_total{method}         counter
//   spoolrpc_calls_ended_total{method,code}      counter; codes as "OK", "UNAVAILABLE"
//   spoolrpc_calls_in_flight{method}             gauge
//   spoolrpc_call_latency_seconds{method}        histogram, with bounds at powers of two from 1 us
//                                                to 18 minutes
//   spoolrpc_call_latency_quantiles_seconds{method,quantile}
//                                                summary: 0.5, 0.9, 0.99, 0.999, to within 1/32
//   spoolrpc_call_latency_min_seconds{method}, spoolrpc_call_latency_max_seconds{method}
//                                                gauges
//   spoolrpc_message_sent_bytes_total{method}, spoolrpc_message_received_bytes_total{method}
//                                                counters
//   spoolrpc_batch_size{method}                  histogram: calls a batch
//   spoolrpc_queue_length{queue}                 gauge: calls that wait for a worker, or for others
//                                                of their batch
//   spoolrpc_file_operations_total{operation}    counter: system calls on files
//
// docs/metrics.md says more of each. The latencies of a method appear when its first call has
// ended, the other parts likewise.
std::string OpenMetricsText(absl::Span<const Registry* const> registries);

// Replaces the file `path` by `text`: it is written under a temporary name in the same directory
// (which does not end in ".prom") and renamed, so that a reader sees all of it or what was there
// before. Its mode is 0644, since node_exporter is another user. Not flushed: after a crash of the
// host it may be empty. Takes file calls, so it may block.
absl::Status WriteTextfile(const std::string& path, absl::string_view text, os::SystemCalls* calls);

}  // namespace spoolrpc::metrics

#endif  // SPOOLRPC_METRICS_OPEN_METRICS_H_
