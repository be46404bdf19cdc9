#include "spoolrpc/metrics/call_metrics.h"

#include <algorithm>
#include <memory>
#include <numeric>

namespace spoolrpc::metrics {

uint64_t MethodSummary::Ended() const {
  return std::accumulate(ended.begin(), ended.end(), uint64_t{0});
}

uint64_t MethodSummary::Errors() const {
  return Ended() - ended[static_cast<int>(absl::StatusCode::kOk)];
}

CallMetrics::~CallMetrics() { delete batch_size_.load(); }

void CallMetrics::OnEnd(absl::StatusCode code, os::Nanos latency) {
  latency_.Record(static_cast<uint64_t>(std::max<os::Nanos>(0, latency)));
  // Codes come from peers.
  auto index = static_cast<unsigned>(code);
  if (index >= kStatusCodes) index = static_cast<unsigned>(absl::StatusCode::kUnknown);
  // Whoever sees the end sees the start: Summary() subtracts them.
  ended_[index].fetch_add(1, std::memory_order_release);
}

void CallMetrics::OnBatch(uint64_t size) {
  Histogram* histogram = batch_size_.load(std::memory_order_acquire);
  if (histogram == nullptr) {
    auto first = std::make_unique<Histogram>();
    // On failure `histogram` is another thread's.
    if (batch_size_.compare_exchange_strong(histogram, first.get(), std::memory_order_acq_rel)) {
      histogram = first.release();
    }
  }
  histogram->Record(size);
}

MethodSummary CallMetrics::Summary() const {
  MethodSummary summary;
  for (int i = 0; i < kStatusCodes; ++i) {
    summary.ended[i] = ended_[i].load(std::memory_order_acquire);
  }
  summary.started = started_.load(std::memory_order_relaxed);
  const uint64_t ended = summary.Ended();
  summary.in_flight = summary.started > ended ? summary.started - ended : 0;
  summary.bytes_sent = bytes_sent_.load(std::memory_order_relaxed);
  summary.bytes_received = bytes_received_.load(std::memory_order_relaxed);
  summary.latency = latency_.Snapshot();
  const Histogram* const batches = batch_size_.load(std::memory_order_acquire);
  if (batches != nullptr) summary.batch_size = batches->Snapshot();
  return summary;
}

}  // namespace spoolrpc::metrics
