// What is counted about the calls of one method, on one side.
#ifndef SPOOLRPC_METRICS_CALL_METRICS_H_
#define SPOOLRPC_METRICS_CALL_METRICS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "spoolrpc/metrics/histogram.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::metrics {

// absl::StatusCode has the values 0 to 16.
constexpr int kStatusCodes = 17;

// What one method's calls came to.
struct MethodSummary {
  std::string method;  // "package.Service/Method", as it was given to the registry
  uint64_t started = 0;
  uint64_t in_flight = 0;                         // started and not ended
  std::array<uint64_t, kStatusCodes> ended = {};  // by status code
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  HistogramSnapshot latency;     // nanoseconds, of calls that have ended, however they did
  HistogramSnapshot batch_size;  // calls a batch

  uint64_t Ended() const;
  // Calls that ended with another code than OK.
  uint64_t Errors() const;
};

// Thread-safe and lock-free, the first batch excepted. A call costs less than 100 ns in all.
class CallMetrics {
 public:
  CallMetrics() = default;
  ~CallMetrics();
  CallMetrics(const CallMetrics&) = delete;
  CallMetrics& operator=(const CallMetrics&) = delete;

  // Once for each call, and then OnEnd() once.
  void OnStart() { started_.fetch_add(1, std::memory_order_relaxed); }
  void OnEnd(absl::StatusCode code, os::Nanos latency);
  // A message of so many bytes, as it is before it is compressed. Told as it goes: a call may last
  // for days.
  void OnSend(uint64_t bytes) { bytes_sent_.fetch_add(bytes, std::memory_order_relaxed); }
  void OnReceive(uint64_t bytes) { bytes_received_.fetch_add(bytes, std::memory_order_relaxed); }
  // A batch of `size` calls goes to its handler.
  void OnBatch(uint64_t size);

  // Without the method's name. Calls that start or end meanwhile may be counted in some parts and
  // not yet in others; in_flight is never below 0.
  MethodSummary Summary() const;

 private:
  std::atomic<uint64_t> started_{0};
  std::atomic<uint64_t> ended_[kStatusCodes] = {};
  std::atomic<uint64_t> bytes_sent_{0};
  std::atomic<uint64_t> bytes_received_{0};
  Histogram latency_;
  std::atomic<Histogram*> batch_size_{nullptr};  // owned; most methods have none
};

}  // namespace spoolrpc::metrics

#endif  // SPOOLRPC_METRICS_CALL_METRICS_H_
