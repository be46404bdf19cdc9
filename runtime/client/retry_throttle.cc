#include "spoolrpc/client/retry_throttle.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace spoolrpc::client {
namespace {

constexpr double kMostTokens = 1000;  // as in gRPC's service configuration

int64_t Millis(double tokens) { return std::llround(tokens * 1000); }

}  // namespace

absl::Status RetryThrottle::Check(double max_tokens, double token_ratio) {
  // Written so that NaN is refused, too.
  if (!(max_tokens >= 1 && max_tokens <= kMostTokens)) {
    return absl::InvalidArgumentError(
        absl::StrCat("retry throttle: max_tokens is ", max_tokens, ", not 1 to ", kMostTokens));
  }
  if (!(token_ratio >= 0.001 && token_ratio <= kMostTokens)) {
    return absl::InvalidArgumentError(absl::StrCat("retry throttle: token_ratio is ", token_ratio,
                                                   ", not 0.001 to ", kMostTokens));
  }
  return absl::OkStatus();
}

RetryThrottle::RetryThrottle(double max_tokens, double token_ratio)
    : max_millis_(Millis(max_tokens)), ratio_millis_(Millis(token_ratio)), millis_(max_millis_) {}

void RetryThrottle::Add(int64_t millis) {
  int64_t now = millis_.load(std::memory_order_relaxed);
  int64_t next;
  do {
    next = std::clamp<int64_t>(now + millis, 0, max_millis_);
  } while (next != now && !millis_.compare_exchange_weak(now, next, std::memory_order_relaxed));
}

}  // namespace spoolrpc::client
