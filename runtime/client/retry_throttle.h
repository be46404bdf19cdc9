// Keeps retries and hedges from making an overloaded server's load worse (gRFC A6).
#ifndef SPOOLRPC_CLIENT_RETRY_THROTTLE_H_
#define SPOOLRPC_CLIENT_RETRY_THROTTLE_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"

namespace spoolrpc::client {

// A bucket of tokens, full at first. A failure that could be retried takes one, a success puts
// `token_ratio` of one back. With half of them or less nothing is sent a second time. One for all
// calls of a channel. Thread-safe and lock-free.
class RetryThrottle {
 public:
  // INVALID_ARGUMENT unless max_tokens is at least 1 and at most 1000, and token_ratio at least
  // 0.001; both count in thousandths.
  static absl::Status Check(double max_tokens, double token_ratio);

  // Of values that Check() takes.
  RetryThrottle(double max_tokens, double token_ratio);

  // Of each copy of a call that failed with a code that allows another one, or whose server said
  // not to send any.
  void OnFailure() { Add(-1000); }
  void OnSuccess() { Add(ratio_millis_); }
  // Whether a call may be sent a second time now. First copies may always.
  bool Allows() const { return millis_.load(std::memory_order_relaxed) > max_millis_ / 2; }

 private:
  void Add(int64_t millis);

  const int64_t max_millis_;
  const int64_t ratio_millis_;
  std::atomic<int64_t> millis_;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_RETRY_THROTTLE_H_
