// When a call is sent once more, after a failure (retries) or before one (hedging): gRPC's rules
// (gRFC A6), as decisions without any I/O.
//
// Who uses these sees to what they do not know: that the method is idempotent, that the deadline is
// not passed (it holds for all attempts together), and that nothing of a reply has reached the
// caller yet. A call that certainly was not started is another matter: it may be sent again under
// no policy at all.
#ifndef SPOOLRPC_CLIENT_RETRY_POLICY_H_
#define SPOOLRPC_CLIENT_RETRY_POLICY_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "spoolrpc/client/retry_throttle.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/rpc/metadata.h"

namespace spoolrpc::client {

// Metadata of a call that is sent again: how many attempts there were before, in decimal digits.
constexpr char kPreviousAttemptsKey[] = "grpc-previous-rpc-attempts";
// Trailing metadata of a reply: see PushbackOf().
constexpr char kPushbackKey[] = "grpc-retry-pushback-ms";

// Policies that ask for more attempts get so many, unless the channel allows more.
constexpr int kDefaultAttemptLimit = 5;

class StatusCodeSet {
 public:
  StatusCodeSet() = default;
  StatusCodeSet(std::initializer_list<absl::StatusCode> codes) {
    for (const absl::StatusCode code : codes) Add(code);
  }
  void Add(absl::StatusCode code) { bits_ |= Bit(code); }
  bool Contains(absl::StatusCode code) const { return (bits_ & Bit(code)) != 0; }
  bool empty() const { return bits_ == 0; }

 private:
  static uint32_t Bit(absl::StatusCode code) {
    const auto index = static_cast<unsigned>(code);
    return index < 32 ? uint32_t{1} << index : 0;
  }

  uint32_t bits_ = 0;
};

struct RetryPolicy {
  int max_attempts = 4;  // the first included
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(5);
  double multiplier = 2;
  StatusCodeSet retryable = {absl::StatusCode::kUnavailable};
  // Of those only what ended since the server was lost (SERVER_LOST).
  bool only_if_server_lost = false;
};

// Of idempotent calls without any other policy: when their server is lost they go to another one,
// almost at once, and up to four times.
RetryPolicy FailoverPolicy();

struct HedgingPolicy {
  int max_attempts = 2;  // the first included
  absl::Duration hedging_delay = absl::Milliseconds(500);
  // What does not end the call while other copies may still succeed.
  StatusCodeSet non_fatal = {absl::StatusCode::kUnavailable};
};

// INVALID_ARGUMENT, and which value is wrong: at least two attempts, backoffs and multiplier
// positive, at least one code and not OK; a hedging delay may be 0, and its codes none.
absl::Status CheckPolicy(const RetryPolicy& policy);
absl::Status CheckPolicy(const HedgingPolicy& policy);

// What a server says about sending a call again.
struct Pushback {
  enum class Kind { kNone, kAfter, kNever };
  Kind kind = Kind::kNone;
  absl::Duration delay = absl::ZeroDuration();  // of kAfter, not negative
};

// From trailing metadata: the value of kPushbackKey is a number of milliseconds; anything else,
// also a negative number, means that the call must not be sent again. Without that key, the
// retry_delay of a google.rpc.RetryInfo among the status's details.
Pushback PushbackOf(const Metadata& trailing, const absl::Status& status);

// A number from 0 to below 1, another one at each call.
using RandomFn = std::function<double()>;

// From a generator of the calling thread's; thread-safe.
double RandomFraction();

// The n-th delay is min(initial_backoff * multiplier^(n-1), max_backoff), and up to a fifth more or
// less, so that clients that failed together do not come back together.
class Backoff {
 public:
  Backoff(const RetryPolicy& policy, RandomFn random);

  absl::Duration Next();
  // The next delay is the first one again.
  void Reset() { next_ = initial_; }

 private:
  const absl::Duration initial_;
  const absl::Duration max_;
  const double multiplier_;
  const RandomFn random_;
  absl::Duration next_;  // before jitter
};

// `throttle`, or null for a policy that only sends again what a lost server had: then many calls
// fail at once, which says nothing about the other servers.
inline RetryThrottle* ThrottleFor(const RetryPolicy& policy, RetryThrottle* throttle) {
  return policy.only_if_server_lost ? nullptr : throttle;
}

// One call under a retry policy. Not thread-safe.
class RetryState {
 public:
  // `throttle` may be null, and must outlive it otherwise.
  RetryState(const RetryPolicy& policy, RetryThrottle* throttle, RandomFn random = RandomFraction,
             int attempt_limit = kDefaultAttemptLimit);

  // An attempt has ended. How long to wait until the next one; none if this one's result is the
  // call's, as a success always is.
  std::optional<absl::Duration> OnEnd(const absl::Status& status, const Pushback& pushback);
  // What the next attempt tells under kPreviousAttemptsKey, if it is not 0.
  int previous_attempts() const { return ended_; }

 private:
  const StatusCodeSet retryable_;
  const bool only_if_server_lost_;
  const int max_attempts_;
  RetryThrottle* const throttle_;
  Backoff backoff_;
  int ended_ = 0;
};

// One call under a hedging policy. Not thread-safe. Its user sends a copy whenever TakeDue() says
// so, calls it again at due(), and tells of each copy that ends.
class HedgingState {
 public:
  // The first copy is due at `now`. `throttle` may be null, and must outlive it otherwise.
  HedgingState(const HedgingPolicy& policy, RetryThrottle* throttle, os::Nanos now,
               int attempt_limit = kDefaultAttemptLimit);

  enum class Due {
    kNothing,  // ask again at due()
    kSend,     // a copy is to be sent at once, to another server than those before if there is one
    kFinish,   // no copy is under way and none will be: the call ends as the last one did
  };
  Due TakeDue(os::Nanos now);
  // When the next copy is due, os::kNever if none is to be sent any more.
  os::Nanos due() const { return due_; }

  enum class Ended {
    kFinish,  // this copy's result is the call's: cancel the others, and tell nothing more
    kGoOn,    // ignore it; ask TakeDue()
  };
  Ended OnEnd(const absl::Status& status, const Pushback& pushback, os::Nanos now);

  // Copies that were sent and have not ended.
  int under_way() const { return sent_ - ended_; }
  // What the next copy tells under kPreviousAttemptsKey, if it is not 0.
  int previous_attempts() const { return sent_; }

 private:
  const StatusCodeSet non_fatal_;
  const absl::Duration delay_;
  const int max_attempts_;
  RetryThrottle* const throttle_;
  os::Nanos due_;
  int sent_ = 0;
  int ended_ = 0;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_RETRY_POLICY_H_
