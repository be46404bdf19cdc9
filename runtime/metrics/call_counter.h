// One call while it lasts, for whoever counts it: a channel, a server, an interceptor.
#ifndef SPOOLRPC_METRICS_CALL_COUNTER_H_
#define SPOOLRPC_METRICS_CALL_COUNTER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "spoolrpc/metrics/call_metrics.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::metrics {

// Copied freely: all copies are of the same call. Thread-safe.
class CallCounter {
 public:
  // Counts nothing.
  CallCounter() = default;
  // A call that began at `began`, by `clock`. Without `metrics` (null) it counts nothing; otherwise
  // both must outlive the call, and OnEnd() must be called once.
  CallCounter(CallMetrics* metrics, const os::Clock* clock, os::Nanos began)
      : metrics_(metrics), clock_(clock), began_(began) {
    if (metrics_ != nullptr) metrics_->OnStart();
  }

  // False: nobody wants to know, so that sizes need not be found out.
  bool counts() const { return metrics_ != nullptr; }

  // A message of so many bytes, before it is compressed.
  void OnSend(uint64_t bytes) const {
    if (metrics_ != nullptr) metrics_->OnSend(bytes);
  }
  void OnReceive(uint64_t bytes) const {
    if (metrics_ != nullptr) metrics_->OnReceive(bytes);
  }
  void OnEnd(absl::StatusCode code) const {
    if (metrics_ != nullptr) metrics_->OnEnd(code, clock_->Now() - began_);
  }

 private:
  CallMetrics* metrics_ = nullptr;
  const os::Clock* clock_ = nullptr;
  os::Nanos began_ = 0;
};

}  // namespace spoolrpc::metrics

#endif  // SPOOLRPC_METRICS_CALL_COUNTER_H_
