#include "spoolrpc/client/retry_policy.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/unknown_field_set.h"
#include "spoolrpc/os/random.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::client {
namespace {

constexpr double kJitter = 0.2;

absl::Status CheckAttempts(int max_attempts) {
  if (max_attempts >= 2) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("max_attempts is ", max_attempts, ": less than 2 is no policy"));
}

// The retry_delay of a google.rpc.RetryInfo: its one field, with number 1. Read without the type,
// so that a program may bring its own copy of google/rpc/error_details.proto.
std::optional<absl::Duration> DelayOfRetryInfo(const std::string& bytes) {
  google::protobuf::UnknownFieldSet fields;
  if (!fields.ParseFromString(bytes)) return std::nullopt;
  for (int i = 0; i < fields.field_count(); ++i) {
    const google::protobuf::UnknownField& field = fields.field(i);
    google::protobuf::Duration delay;
    if (field.number() != 1 ||
        field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED ||
        !delay.ParseFromString(field.length_delimited())) {
      continue;
    }
    return std::max(absl::ZeroDuration(),
                    absl::Seconds(delay.seconds()) + absl::Nanoseconds(delay.nanos()));
  }
  return std::nullopt;
}

// What the metadata's value says.
Pushback ParsePushback(const std::string& value) {
  int32_t milliseconds;
  const bool digits = value.find_first_not_of("0123456789") == std::string::npos;
  // "no unnecessary leading zeros", says the specification.
  const bool canonical = digits && (value == "0" || !absl::StartsWith(value, "0"));
  if (!canonical || !absl::SimpleAtoi(value, &milliseconds)) return {Pushback::Kind::kNever};
  return {Pushback::Kind::kAfter, absl::Milliseconds(milliseconds)};
}

}  // namespace

absl::Status CheckPolicy(const RetryPolicy& policy) {
  if (absl::Status status = CheckAttempts(policy.max_attempts); !status.ok()) return status;
  if (policy.initial_backoff <= absl::ZeroDuration() ||
      policy.max_backoff <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("initial_backoff and max_backoff must be positive, and are ",
                     absl::FormatDuration(policy.initial_backoff), " and ",
                     absl::FormatDuration(policy.max_backoff)));
  }
  // (NaN is not.)
  if (!(policy.multiplier > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the backoff's multiplier must be positive, and is ", policy.multiplier));
  }
  if (policy.retryable.empty()) return absl::InvalidArgumentError("no retryable status codes");
  if (policy.retryable.Contains(absl::StatusCode::kOk)) {
    return absl::InvalidArgumentError("OK is among the retryable status codes");
  }
  return absl::OkStatus();
}

absl::Status CheckPolicy(const HedgingPolicy& policy) {
  if (absl::Status status = CheckAttempts(policy.max_attempts); !status.ok()) return status;
  if (policy.hedging_delay < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("hedging_delay must not be negative, and is ",
                                                   absl::FormatDuration(policy.hedging_delay)));
  }
  if (policy.non_fatal.Contains(absl::StatusCode::kOk)) {
    return absl::InvalidArgumentError("OK is among the non-fatal status codes");
  }
  return absl::OkStatus();
}

Pushback PushbackOf(const Metadata& trailing, const absl::Status& status) {
  const auto [first, last] = trailing.equal_range(kPushbackKey);
  if (first != last) {
    // Two values are as unreadable as none.
    if (std::next(first) != last) return {Pushback::Kind::kNever};
    return ParsePushback(first->second);
  }
  if (status.ok()) return {};
  const google::rpc::Status whole = ToRpcStatus(status);
  for (const auto& any : whole.details()) {
    if (!absl::EndsWith(any.type_url(), "/google.rpc.RetryInfo")) continue;
    const std::optional<absl::Duration> delay = DelayOfRetryInfo(any.value());
    if (delay.has_value()) return {Pushback::Kind::kAfter, *delay};
  }
  return {};
}

double RandomFraction() {
  thread_local std::mt19937_64 generator(os::RandomUint64());
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

Backoff::Backoff(const RetryPolicy& policy, RandomFn random)
    : initial_(policy.initial_backoff),
      max_(policy.max_backoff),
      multiplier_(policy.multiplier),
      random_(std::move(random)),
      next_(initial_) {}

absl::Duration Backoff::Next() {
  const absl::Duration delay = std::min(next_, max_);
  next_ = std::min(delay * multiplier_, max_);
  // The specification has the jitter on top of the bound, so that clients are spread there, too.
  return delay * (1 - kJitter + 2 * kJitter * random_());
}

RetryPolicy FailoverPolicy() {
  RetryPolicy policy;
  policy.max_attempts = 5;
  policy.initial_backoff = absl::Milliseconds(1);
  policy.max_backoff = absl::Seconds(1);
  policy.multiplier = 10;
  policy.only_if_server_lost = true;
  return policy;
}

RetryState::RetryState(const RetryPolicy& policy, RetryThrottle* throttle, RandomFn random,
                       int attempt_limit)
    : retryable_(policy.retryable),
      only_if_server_lost_(policy.only_if_server_lost),
      max_attempts_(std::min(policy.max_attempts, attempt_limit)),
      throttle_(throttle),
      backoff_(policy, std::move(random)) {}

std::optional<absl::Duration> RetryState::OnEnd(const absl::Status& status,
                                                const Pushback& pushback) {
  ++ended_;
  if (status.ok()) {
    if (throttle_ != nullptr) throttle_->OnSuccess();
    return std::nullopt;
  }
  bool retryable = retryable_.Contains(status.code());
  if (retryable && only_if_server_lost_) {
    const auto info = GetErrorInfo(status);
    retryable = info.has_value() && info->reason() == ErrorInfo::SERVER_LOST;
  }
  const bool refused = pushback.kind == Pushback::Kind::kNever;
  if (throttle_ != nullptr && (retryable || refused)) throttle_->OnFailure();
  if (!retryable || refused || ended_ >= max_attempts_) return std::nullopt;
  if (throttle_ != nullptr && !throttle_->Allows()) return std::nullopt;
  if (pushback.kind == Pushback::Kind::kAfter) {
    backoff_.Reset();
    return pushback.delay;
  }
  return backoff_.Next();
}

HedgingState::HedgingState(const HedgingPolicy& policy, RetryThrottle* throttle, os::Nanos now,
                           int attempt_limit)
    : non_fatal_(policy.non_fatal),
      delay_(policy.hedging_delay),
      max_attempts_(std::max(1, std::min(policy.max_attempts, attempt_limit))),
      throttle_(throttle),
      due_(now) {}

HedgingState::Due HedgingState::TakeDue(os::Nanos now) {
  const bool due = due_ != os::kNever && due_ <= now;
  // The first copy is sent whatever the throttle says; the others are given up, not put off.
  if (due && sent_ > 0 && throttle_ != nullptr && !throttle_->Allows()) due_ = os::kNever;
  if (due_ == os::kNever) return under_way() == 0 ? Due::kFinish : Due::kNothing;
  if (!due) return Due::kNothing;
  ++sent_;
  due_ = sent_ < max_attempts_ ? os::After(now, delay_) : os::kNever;
  return Due::kSend;
}

HedgingState::Ended HedgingState::OnEnd(const absl::Status& status, const Pushback& pushback,
                                        os::Nanos now) {
  ++ended_;
  if (status.ok()) {
    if (throttle_ != nullptr) throttle_->OnSuccess();
    return Ended::kFinish;
  }
  const bool fatal = !non_fatal_.Contains(status.code());
  const bool refused = pushback.kind == Pushback::Kind::kNever;
  if (throttle_ != nullptr && (!fatal || refused)) throttle_->OnFailure();
  if (fatal) return Ended::kFinish;
  if (refused) {
    due_ = os::kNever;
  } else if (due_ != os::kNever) {
    due_ = pushback.kind == Pushback::Kind::kAfter ? os::After(now, pushback.delay) : now;
  }
  return due_ == os::kNever && under_way() == 0 ? Ended::kFinish : Ended::kGoOn;
}

}  // namespace spoolrpc::client
