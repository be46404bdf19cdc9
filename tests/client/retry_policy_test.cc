// Retries, hedging and throttling, decision by decision.
#include "spoolrpc/client/retry_policy.h"

#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "spoolrpc/client/retry_throttle.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/rpc/status_codec.h"
#include "spoolrpc/wire.pb.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::client {
namespace {

using absl::Milliseconds;
using absl::Seconds;
using absl::StatusCode;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

const Pushback kNoPushback;
const Pushback kNever{Pushback::Kind::kNever};
Pushback After(absl::Duration delay) { return {Pushback::Kind::kAfter, delay}; }

const absl::Status kOk;
const absl::Status kAgain = absl::UnavailableError("try again");
const absl::Status kFatal = absl::InvalidArgumentError("nonsense");

// In the middle of the jitter: delays are what they would be without.
double Middle() { return 0.5; }

RetryPolicy Policy(int max_attempts = 5) {
  RetryPolicy policy;
  policy.max_attempts = max_attempts;
  policy.initial_backoff = Milliseconds(100);
  policy.max_backoff = Milliseconds(500);
  policy.multiplier = 2;
  return policy;
}

// Equal but for the rounding of a multiplication.
#define EXPECT_DELAY(delay, expected)                                              \
  do {                                                                             \
    const std::optional<absl::Duration> got = (delay);                             \
    ASSERT_TRUE(got.has_value());                                                  \
    EXPECT_LE(absl::AbsDuration(*got - (expected)), absl::Nanoseconds(1)) << *got; \
  } while (false)

TEST(BackoffTest, GrowsToTheBound) {
  Backoff backoff(Policy(), Middle);
  for (const int expected : {100, 200, 400, 500, 500, 500}) {
    EXPECT_DELAY(backoff.Next(), Milliseconds(expected));
  }
  backoff.Reset();
  EXPECT_DELAY(backoff.Next(), Milliseconds(100));
}

TEST(BackoffTest, TheBoundHoldsForTheFirstDelay) {
  RetryPolicy policy = Policy();
  policy.initial_backoff = Seconds(10);
  EXPECT_DELAY(Backoff(policy, Middle).Next(), Milliseconds(500));
}

TEST(BackoffTest, JitterIsAFifthEitherWay) {
  double random = 0;
  Backoff backoff(Policy(), [&] { return random; });
  EXPECT_DELAY(backoff.Next(), Milliseconds(80));
  random = 1;
  EXPECT_DELAY(backoff.Next(), Milliseconds(240));
  random = 0.75;
  EXPECT_DELAY(backoff.Next(), Milliseconds(440));
  random = 1;
  EXPECT_DELAY(backoff.Next(), Milliseconds(600));  // beyond the bound, as specified
}

TEST(BackoffTest, ManyStepsStayAtTheBound) {
  RetryPolicy policy = Policy();
  policy.multiplier = 1e300;
  Backoff backoff(policy, Middle);
  EXPECT_DELAY(backoff.Next(), Milliseconds(100));
  for (int i = 0; i < 10; ++i) EXPECT_DELAY(backoff.Next(), Milliseconds(500));
}

TEST(BackoffTest, RandomFractionsDiffer) {
  std::set<double> seen;
  for (int i = 0; i < 100; ++i) {
    const double fraction = RandomFraction();
    EXPECT_GE(fraction, 0);
    EXPECT_LT(fraction, 1);
    seen.insert(fraction);
  }
  EXPECT_GT(seen.size(), 90);
}

TEST(RetryStateTest, RetriesUntilTheAttemptsAreUsedUp) {
  RetryState call(Policy(3), nullptr, Middle);
  EXPECT_EQ(call.previous_attempts(), 0);
  EXPECT_DELAY(call.OnEnd(kAgain, kNoPushback), Milliseconds(100));
  EXPECT_EQ(call.previous_attempts(), 1);
  EXPECT_DELAY(call.OnEnd(kAgain, kNoPushback), Milliseconds(200));
  EXPECT_EQ(call.previous_attempts(), 2);
  EXPECT_EQ(call.OnEnd(kAgain, kNoPushback), std::nullopt);
}

TEST(RetryStateTest, FailoverIsForLostServersAlone) {
  const auto lost =
      rpc::TransportError(StatusCode::kUnavailable, ErrorInfo::SERVER_LOST, "lost", true, "m");
  const auto nobody =
      rpc::TransportError(StatusCode::kUnavailable, ErrorInfo::NO_SERVER, "nobody", false, "m");
  EXPECT_EQ(RetryState(FailoverPolicy(), nullptr).OnEnd(kAgain, kNoPushback), std::nullopt);
  EXPECT_EQ(RetryState(FailoverPolicy(), nullptr).OnEnd(nobody, kNoPushback), std::nullopt);
  RetryState call(FailoverPolicy(), nullptr, Middle);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(call.OnEnd(lost, kNoPushback).has_value()) << i;
  EXPECT_EQ(call.OnEnd(lost, kNoPushback), std::nullopt);
}

TEST(RetryStateTest, SuccessAndOtherCodesEndTheCall) {
  EXPECT_EQ(RetryState(Policy(), nullptr, Middle).OnEnd(kOk, kNoPushback), std::nullopt);
  EXPECT_EQ(RetryState(Policy(), nullptr, Middle).OnEnd(kFatal, kNoPushback), std::nullopt);
  RetryState call(Policy(), nullptr, Middle);
  EXPECT_TRUE(call.OnEnd(kAgain, kNoPushback).has_value());
  EXPECT_EQ(call.OnEnd(kOk, kNoPushback), std::nullopt);
}

TEST(RetryStateTest, ThereIsALimitThatPoliciesCannotRaise) {
  RetryState usual(Policy(100), nullptr, Middle);
  for (int i = 1; i < 5; ++i) EXPECT_TRUE(usual.OnEnd(kAgain, kNoPushback).has_value());
  EXPECT_EQ(usual.OnEnd(kAgain, kNoPushback), std::nullopt);
  RetryState more(Policy(100), nullptr, Middle, 8);
  for (int i = 1; i < 8; ++i) EXPECT_TRUE(more.OnEnd(kAgain, kNoPushback).has_value());
  EXPECT_EQ(more.OnEnd(kAgain, kNoPushback), std::nullopt);
}

TEST(RetryStateTest, PushbackSetsTheDelayAndStartsTheBackoffAgain) {
  RetryState call(Policy(), nullptr, Middle);
  EXPECT_DELAY(call.OnEnd(kAgain, kNoPushback), Milliseconds(100));
  EXPECT_DELAY(call.OnEnd(kAgain, kNoPushback), Milliseconds(200));
  EXPECT_DELAY(call.OnEnd(kAgain, After(Seconds(7))), Seconds(7));
  EXPECT_DELAY(call.OnEnd(kAgain, kNoPushback), Milliseconds(100));
}

TEST(RetryStateTest, PushbackGivesNoFurtherAttemptAndMakesNoCodeRetryable) {
  RetryState used_up(Policy(2), nullptr, Middle);
  EXPECT_DELAY(used_up.OnEnd(kAgain, After(absl::ZeroDuration())), absl::ZeroDuration());
  EXPECT_EQ(used_up.OnEnd(kAgain, After(absl::ZeroDuration())), std::nullopt);
  EXPECT_EQ(RetryState(Policy(), nullptr, Middle).OnEnd(kFatal, After(Seconds(1))), std::nullopt);
}

TEST(RetryStateTest, PushbackMayForbidIt) {
  EXPECT_EQ(RetryState(Policy(), nullptr, Middle).OnEnd(kAgain, kNever), std::nullopt);
}

TEST(RetryStateTest, TheThrottleCountsAndForbids) {
  RetryThrottle throttle(10, 0.5);
  const auto call = [&](const absl::Status& status, const Pushback& pushback) {
    return RetryState(Policy(), &throttle, Middle).OnEnd(status, pushback).has_value();
  };
  for (int left = 9; left > 5; --left) EXPECT_TRUE(call(kAgain, kNoPushback)) << left;
  EXPECT_FALSE(call(kAgain, kNoPushback));  // 5 left: half
  EXPECT_FALSE(call(kOk, kNoPushback));
  EXPECT_TRUE(throttle.Allows());           // 5.5
  EXPECT_FALSE(call(kFatal, kNoPushback));  // counts for nothing
  EXPECT_TRUE(throttle.Allows());
  EXPECT_FALSE(call(kFatal, kNever));  // 4.5: a server that refuses counts whatever the code
  EXPECT_FALSE(throttle.Allows());
}

TEST(RetryStateTest, ALastAttemptIsCounted) {
  RetryThrottle throttle(2, 1);
  EXPECT_EQ(RetryState(Policy(), &throttle, Middle, 1).OnEnd(kAgain, kNoPushback), std::nullopt);
  EXPECT_FALSE(throttle.Allows());
}

TEST(RetryThrottleTest, StaysWithinItsBounds) {
  RetryThrottle throttle(3, 0.001);
  for (int i = 0; i < 100; ++i) throttle.OnFailure();
  EXPECT_FALSE(throttle.Allows());
  for (int i = 0; i < 1500; ++i) throttle.OnSuccess();
  EXPECT_FALSE(throttle.Allows());
  throttle.OnSuccess();  // 1.501
  EXPECT_TRUE(throttle.Allows());
  for (int i = 0; i < 10000; ++i) throttle.OnSuccess();
  throttle.OnFailure();
  EXPECT_TRUE(throttle.Allows());
  throttle.OnFailure();
  EXPECT_FALSE(throttle.Allows());
}

TEST(RetryThrottleTest, ThreadsLoseNothing) {
  RetryThrottle throttle(1000, 0.25);
  for (int i = 0; i < 500; ++i) throttle.OnFailure();  // 500 left, and none at a bound below
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 1000; ++round) {
        for (int success = 0; success < 4; ++success) throttle.OnSuccess();
        throttle.OnFailure();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(throttle.Allows());
  throttle.OnSuccess();
  EXPECT_TRUE(throttle.Allows());
}

TEST(RetryThrottleTest, ChecksItsValues) {
  EXPECT_OK(RetryThrottle::Check(10, 0.1));
  EXPECT_OK(RetryThrottle::Check(1000, 0.001));
  for (const double tokens : {0.0, -1.0, 1001.0, std::nan("")}) {
    EXPECT_THAT(RetryThrottle::Check(tokens, 0.1), HasCode(StatusCode::kInvalidArgument));
  }
  for (const double ratio : {0.0, -1.0, 0.0001, std::nan("")}) {
    EXPECT_THAT(RetryThrottle::Check(10, ratio), HasCode(StatusCode::kInvalidArgument));
  }
}

class HedgingTest : public ::testing::Test {
 protected:
  using Due = HedgingState::Due;
  using Ended = HedgingState::Ended;
  static constexpr os::Nanos kDelay = 500;

  HedgingState Start(int max_attempts, RetryThrottle* throttle = nullptr) {
    HedgingPolicy policy;
    policy.max_attempts = max_attempts;
    policy.hedging_delay = absl::Nanoseconds(kDelay);
    return HedgingState(policy, throttle, now_);
  }

  os::Nanos now_ = 1'000'000;
};

TEST_F(HedgingTest, CopiesGoOutOneDelayApart) {
  HedgingState call = Start(3);
  EXPECT_EQ(call.previous_attempts(), 0);
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  for (int sent = 1; sent < 3; ++sent) {
    EXPECT_EQ(call.previous_attempts(), sent);
    EXPECT_EQ(call.due(), now_ + kDelay);
    EXPECT_EQ(call.TakeDue(now_ + kDelay - 1), Due::kNothing);
    now_ += kDelay;
    EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  }
  EXPECT_EQ(call.due(), os::kNever);
  EXPECT_EQ(call.TakeDue(now_ + 1000 * kDelay), Due::kNothing);
  EXPECT_EQ(call.under_way(), 3);
}

TEST_F(HedgingTest, WithoutADelayAllGoOutAtOnce) {
  HedgingPolicy policy;
  policy.max_attempts = 4;
  policy.hedging_delay = absl::ZeroDuration();
  HedgingState call(policy, nullptr, now_);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.TakeDue(now_), Due::kNothing);
}

TEST_F(HedgingTest, TheFirstSuccessIsTheResult) {
  HedgingState call = Start(3);
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.TakeDue(now_ + kDelay), Due::kSend);
  EXPECT_EQ(call.OnEnd(kOk, kNoPushback, now_ + kDelay + 1), Ended::kFinish);
}

TEST_F(HedgingTest, AFatalCodeIsTheResult) {
  HedgingState call = Start(3);
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.TakeDue(now_ + kDelay), Due::kSend);
  EXPECT_EQ(call.OnEnd(kFatal, After(Seconds(1)), now_ + kDelay + 1), Ended::kFinish);
}

TEST_F(HedgingTest, ANonFatalCodeSendsTheNextAtOnceAndTheDelayGoesOnFromThere) {
  HedgingState call = Start(4);
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  now_ += 10;
  EXPECT_EQ(call.OnEnd(kAgain, kNoPushback, now_), Ended::kGoOn);
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.under_way(), 1);
  EXPECT_EQ(call.due(), now_ + kDelay);
}

TEST_F(HedgingTest, TheLastFailureIsTheResultWhenAllFail) {
  HedgingState call = Start(2);
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.TakeDue(now_ + kDelay), Due::kSend);
  EXPECT_EQ(call.OnEnd(kAgain, kNoPushback, now_ + kDelay), Ended::kGoOn);
  EXPECT_EQ(call.TakeDue(now_ + kDelay), Due::kNothing);
  EXPECT_EQ(call.OnEnd(kAgain, kNoPushback, now_ + kDelay), Ended::kFinish);
}

TEST_F(HedgingTest, PushbackPutsTheNextOff) {
  HedgingState call = Start(3);
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.OnEnd(kAgain, After(Seconds(1)), now_), Ended::kGoOn);
  EXPECT_EQ(call.under_way(), 0);
  EXPECT_EQ(call.due(), now_ + 1'000'000'000);
  EXPECT_EQ(call.TakeDue(now_ + 10 * kDelay), Due::kNothing);
  now_ += 1'000'000'000;
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.due(), now_ + kDelay);
}

TEST_F(HedgingTest, PushbackThatForbidsLeavesThoseUnderWay) {
  HedgingState call = Start(4);
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.TakeDue(now_ + kDelay), Due::kSend);
  EXPECT_EQ(call.OnEnd(kAgain, kNever, now_ + kDelay), Ended::kGoOn);
  EXPECT_EQ(call.due(), os::kNever);
  EXPECT_EQ(call.TakeDue(now_ + 100 * kDelay), Due::kNothing);
  EXPECT_EQ(call.OnEnd(kAgain, kNoPushback, now_ + 101 * kDelay), Ended::kFinish);
}

TEST_F(HedgingTest, PushbackThatForbidsEndsALoneCall) {
  HedgingState call = Start(4);
  EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.OnEnd(kAgain, kNever, now_), Ended::kFinish);
}

TEST_F(HedgingTest, TheThrottleLetsOnlyTheFirstPass) {
  RetryThrottle throttle(4, 1);
  throttle.OnFailure();
  throttle.OnFailure();
  ASSERT_FALSE(throttle.Allows());
  HedgingState waiting = Start(3, &throttle);
  EXPECT_EQ(waiting.TakeDue(now_), Due::kSend);
  EXPECT_EQ(waiting.TakeDue(now_ + kDelay), Due::kNothing);
  EXPECT_EQ(waiting.due(), os::kNever);  // given up for good
  EXPECT_EQ(waiting.OnEnd(kOk, kNoPushback, now_ + kDelay), Ended::kFinish);
  EXPECT_TRUE(throttle.Allows());
  // The failure itself may be what brings the bucket to its half.
  HedgingState failing = Start(3, &throttle);
  EXPECT_EQ(failing.TakeDue(now_), Due::kSend);
  EXPECT_EQ(failing.OnEnd(kAgain, kNoPushback, now_), Ended::kGoOn);
  EXPECT_EQ(failing.TakeDue(now_), Due::kFinish);
}

TEST_F(HedgingTest, ThereIsALimitThatPoliciesCannotRaise) {
  HedgingState call = Start(100);
  for (int i = 0; i < 5; ++i, now_ += kDelay) EXPECT_EQ(call.TakeDue(now_), Due::kSend);
  EXPECT_EQ(call.TakeDue(now_), Due::kNothing);
}

TEST(PushbackTest, TheMetadataSaysHowLong) {
  const auto of = [](const std::string& value) {
    return PushbackOf({{kPushbackKey, value}}, kAgain);
  };
  for (const auto& [value, delay] : std::vector<std::pair<std::string, int64_t>>{
           {"0", 0}, {"1", 1}, {"2147483647", 2147483647}}) {
    EXPECT_EQ(of(value).kind, Pushback::Kind::kAfter) << value;
    EXPECT_EQ(of(value).delay, Milliseconds(delay)) << value;
  }
  for (const std::string value : {"-1", "", "x", "01", "+1", " 1", "1 ", "1.5", "2147483648",
                                  "99999999999999999999", "-2147483648"}) {
    EXPECT_EQ(of(value).kind, Pushback::Kind::kNever) << value;
  }
  EXPECT_EQ(PushbackOf({{kPushbackKey, "5"}, {kPushbackKey, "5"}}, kAgain).kind,
            Pushback::Kind::kNever);
  EXPECT_EQ(PushbackOf({{"other", "5"}}, kAgain).kind, Pushback::Kind::kNone);
  EXPECT_EQ(PushbackOf({}, kOk).kind, Pushback::Kind::kNone);
}

// A status as a reply brings it, with details of these types and bytes.
absl::Status WithDetails(const std::vector<std::pair<std::string, std::string>>& details) {
  google::rpc::Status whole;
  for (const auto& [type, bytes] : details) {
    auto* const any = whole.add_details();
    any->set_type_url("type.googleapis.com/" + type);
    any->set_value(bytes);
  }
  wire::ReplyHeader header;
  header.set_code(static_cast<int>(StatusCode::kResourceExhausted));
  header.set_details(whole.SerializeAsString());
  return rpc::DecodeStatus(header);
}

// google.rpc.RetryInfo, as any protobuf library writes it.
std::string RetryInfo(int64_t seconds, int32_t nanos) {
  google::protobuf::Duration delay;
  delay.set_seconds(seconds);
  delay.set_nanos(nanos);
  const std::string bytes = delay.SerializeAsString();
  return std::string("\x0a") + static_cast<char>(bytes.size()) + bytes;
}

TEST(PushbackTest, ARetryInfoSaysHowLong) {
  const absl::Status status = WithDetails(
      {{"google.rpc.DebugInfo", "\x0a\x01x"}, {"google.rpc.RetryInfo", RetryInfo(2, 500000000)}});
  EXPECT_EQ(PushbackOf({}, status).kind, Pushback::Kind::kAfter);
  EXPECT_EQ(PushbackOf({}, status).delay, Milliseconds(2500));
  // The metadata is gRPC's own word.
  EXPECT_EQ(PushbackOf({{kPushbackKey, "-1"}}, status).kind, Pushback::Kind::kNever);
  EXPECT_EQ(PushbackOf({{kPushbackKey, "3"}}, status).delay, Milliseconds(3));
}

TEST(PushbackTest, ARetryInfoThatSaysNothingIsIgnored) {
  for (const std::string& bytes : {std::string(), std::string("\x0a\x05"), std::string("\x08\x05"),
                                   std::string("\x0a\x02\xff\xff"), std::string("garbage")}) {
    EXPECT_EQ(PushbackOf({}, WithDetails({{"google.rpc.RetryInfo", bytes}})).kind,
              Pushback::Kind::kNone);
  }
  EXPECT_EQ(PushbackOf({}, WithDetails({{"my.google.rpc.RetryInformation", RetryInfo(1, 0)}})).kind,
            Pushback::Kind::kNone);
  // A negative one is none to wait.
  const absl::Status negative = WithDetails({{"google.rpc.RetryInfo", RetryInfo(-5, 0)}});
  EXPECT_EQ(PushbackOf({}, negative).delay, absl::ZeroDuration());
}

TEST(CheckPolicyTest, RetryPolicies) {
  EXPECT_OK(CheckPolicy(RetryPolicy()));
  const auto check = [](auto change) {
    RetryPolicy policy;
    change(&policy);
    return CheckPolicy(policy);
  };
  const auto invalid = [](const std::string& what) {
    return StatusIs(StatusCode::kInvalidArgument, HasSubstr(what));
  };
  EXPECT_THAT(check([](auto* p) { p->max_attempts = 1; }), invalid("max_attempts"));
  EXPECT_THAT(check([](auto* p) { p->initial_backoff = Seconds(0); }), invalid("backoff"));
  EXPECT_THAT(check([](auto* p) { p->max_backoff = Seconds(-1); }), invalid("backoff"));
  EXPECT_THAT(check([](auto* p) { p->multiplier = 0; }), invalid("multiplier"));
  EXPECT_THAT(check([](auto* p) { p->multiplier = std::nan(""); }), invalid("multiplier"));
  EXPECT_THAT(check([](auto* p) { p->retryable = {}; }), invalid("status codes"));
  EXPECT_THAT(check([](auto* p) { p->retryable.Add(StatusCode::kOk); }), invalid("OK"));
}

TEST(CheckPolicyTest, HedgingPolicies) {
  EXPECT_OK(CheckPolicy(HedgingPolicy()));
  HedgingPolicy policy;
  policy.hedging_delay = absl::ZeroDuration();
  policy.non_fatal = {};
  EXPECT_OK(CheckPolicy(policy));
  policy.hedging_delay = Seconds(-1);
  EXPECT_THAT(CheckPolicy(policy), HasCode(StatusCode::kInvalidArgument));
  policy = {};
  policy.max_attempts = 0;
  EXPECT_THAT(CheckPolicy(policy), HasCode(StatusCode::kInvalidArgument));
  policy = {};
  policy.non_fatal = {StatusCode::kOk};
  EXPECT_THAT(CheckPolicy(policy), HasCode(StatusCode::kInvalidArgument));
}

TEST(StatusCodeSetTest, HoldsWhatWasAdded) {
  StatusCodeSet set = {StatusCode::kUnavailable};
  EXPECT_TRUE(set.Contains(StatusCode::kUnavailable));
  EXPECT_FALSE(set.Contains(StatusCode::kInternal));
  set.Add(StatusCode::kInternal);
  EXPECT_TRUE(set.Contains(StatusCode::kInternal));
  EXPECT_FALSE(set.Contains(static_cast<StatusCode>(77)));
  EXPECT_FALSE(set.empty());
  EXPECT_TRUE(StatusCodeSet().empty());
}

}  // namespace
}  // namespace spoolrpc::client
