// A number that goes up and down, such as the length of a queue.
#ifndef SPOOLRPC_METRICS_GAUGE_H_
#define SPOOLRPC_METRICS_GAUGE_H_

#include <atomic>
#include <cstdint>

namespace spoolrpc::metrics {

// Thread-safe and lock-free.
class Gauge {
 public:
  void Set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void Add(int64_t by) { value_.fetch_add(by, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

}  // namespace spoolrpc::metrics

#endif  // SPOOLRPC_METRICS_GAUGE_H_
