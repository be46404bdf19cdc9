// What a soak takes for wrong, so that a soak that passes has shown something.
#include "tests/soak/rules.h"

#include <gtest/gtest.h>

#include "spoolrpc/rpc/error.h"
#include "tests/soak/ledger.h"
#include "tests/soak/payload.h"
#include "tests/soak/usage.h"

namespace spoolrpc::soak {
namespace {

Plan PlanOf(Method method) {
  Plan plan;
  plan.method = method;
  plan.call = CallName(7, 1, plan.idempotent());
  return plan;
}

Ending EndingOf(const absl::Status& status, absl::Duration took = absl::Seconds(1)) {
  Ending ending;
  ending.status = status;
  ending.took = took;
  ending.answers = status.ok() ? 1 : 0;
  return ending;
}

absl::Status Transport(absl::StatusCode code, ErrorInfo::Reason reason, bool may_have_executed) {
  return rpc::TransportError(code, reason, "", may_have_executed);
}

TEST(RulesTest, OkNeedsAllAnswersAndNoOtherEnd) {
  Plan plan = PlanOf(Method::kExpand);
  plan.replies = 3;
  Ending ending = EndingOf(absl::OkStatus());
  ending.answers = 3;
  EXPECT_EQ(BrokenRule(plan, ending), "");
  ending.answers = 4;
  EXPECT_NE(BrokenRule(plan, ending), "");
  ending.answers = 2;
  EXPECT_NE(BrokenRule(plan, ending), "");
  ending.read_to_end = false;
  EXPECT_EQ(BrokenRule(plan, ending), "");
  plan.code = absl::StatusCode::kNotFound;
  EXPECT_NE(BrokenRule(plan, ending), "");
}

TEST(RulesTest, AWrongAnswerIsWrongWhateverTheEnd) {
  Ending ending = EndingOf(absl::OkStatus());
  ending.wrong = "bytes";
  EXPECT_NE(BrokenRule(PlanOf(Method::kUnary), ending), "");
  ending.dropped = true;
  EXPECT_NE(BrokenRule(PlanOf(Method::kUnary), ending), "");
}

TEST(RulesTest, AHandlerFailsAsItIsToldTo) {
  Plan plan = PlanOf(Method::kUnary);
  plan.code = absl::StatusCode::kCancelled;
  const absl::Status told = absl::CancelledError(ToldToFail(plan.call));
  EXPECT_EQ(BrokenRule(plan, EndingOf(told)), "");
  EXPECT_NE(BrokenRule(plan, EndingOf(absl::AbortedError(told.message()))), "");
  EXPECT_NE(BrokenRule(plan, EndingOf(absl::CancelledError(ToldToFail(plan.call + 1)))), "");
  EXPECT_NE(BrokenRule(plan, EndingOf(absl::InternalError("oh"))), "");
}

TEST(RulesTest, NobodyGivesUpEarly) {
  Plan plan = PlanOf(Method::kUnary);
  plan.timeout = absl::Seconds(5);
  plan.ack_timeout = absl::Seconds(3);
  const auto ends_at = [&plan](const absl::Status& status, absl::Duration took) {
    return BrokenRule(plan, EndingOf(status, took)).empty();
  };
  const absl::Status deadline =
      Transport(absl::StatusCode::kDeadlineExceeded, ErrorInfo::DEADLINE, true);
  EXPECT_FALSE(ends_at(deadline, absl::Milliseconds(4999)));
  EXPECT_TRUE(ends_at(deadline, absl::Seconds(5)));
  EXPECT_FALSE(ends_at(absl::DeadlineExceededError("by the server"), absl::Milliseconds(4999)));
  EXPECT_TRUE(ends_at(absl::DeadlineExceededError("by the server"), absl::Seconds(5)));
  EXPECT_FALSE(ends_at(NobodyWaits(), absl::Milliseconds(4999)));
  EXPECT_TRUE(ends_at(NobodyWaits(), absl::Seconds(5)));
  for (const auto reason : {ErrorInfo::ACK_TIMEOUT, ErrorInfo::NO_SERVER}) {
    const absl::Status status = Transport(absl::StatusCode::kUnavailable, reason, false);
    EXPECT_FALSE(ends_at(status, absl::Milliseconds(2999)));
    EXPECT_TRUE(ends_at(status, absl::Seconds(3)));
  }
  plan.wait_for_ready = false;
  EXPECT_TRUE(ends_at(Transport(absl::StatusCode::kUnavailable, ErrorInfo::NO_SERVER, false),
                      absl::ZeroDuration()));
}

TEST(RulesTest, OnlyWhatWasCancelledIsCancelled) {
  Ending ending = EndingOf(Transport(absl::StatusCode::kCancelled, ErrorInfo::CANCELLED, true));
  Plan plan = PlanOf(Method::kUnary);
  EXPECT_NE(BrokenRule(plan, ending), "");
  ending.cancelled = true;
  EXPECT_EQ(BrokenRule(plan, ending), "");
  plan.cancel_after = absl::ZeroDuration();
  EXPECT_NE(BrokenRule(plan, ending), "") << "it may have been executed";
  ending.status = Transport(absl::StatusCode::kCancelled, ErrorInfo::CANCELLED, false);
  EXPECT_EQ(BrokenRule(plan, ending), "");
  EXPECT_NE(BrokenRule(plan, EndingOf(absl::OkStatus())), "");
}

TEST(RulesTest, ReasonsGoWithTheirCodesAndWithWhatIsKnown) {
  const Plan plan = PlanOf(Method::kUnary);
  const auto allowed = [](const Plan& plan, const absl::Status& status) {
    return BrokenRule(plan, EndingOf(status, absl::Minutes(1))).empty();
  };
  const auto unavailable = [](ErrorInfo::Reason reason, bool may_have_executed) {
    return Transport(absl::StatusCode::kUnavailable, reason, may_have_executed);
  };
  EXPECT_TRUE(allowed(plan, unavailable(ErrorInfo::SERVER_LOST, true)));
  EXPECT_FALSE(allowed(plan, unavailable(ErrorInfo::SERVER_LOST, false)));
  EXPECT_FALSE(allowed(plan, Transport(absl::StatusCode::kUnknown, ErrorInfo::SERVER_LOST, true)));
  EXPECT_TRUE(allowed(plan, unavailable(ErrorInfo::NOT_STARTED, false)));
  EXPECT_FALSE(allowed(plan, unavailable(ErrorInfo::NOT_STARTED, true)));
  EXPECT_FALSE(allowed(plan, unavailable(ErrorInfo::NO_SERVER, true)));
  const Plan again = PlanOf(Method::kAgain);
  EXPECT_TRUE(allowed(again, unavailable(ErrorInfo::NOT_STARTED, true)));
  EXPECT_TRUE(allowed(again, unavailable(ErrorInfo::NO_SERVER, true)));
  for (const auto reason : {ErrorInfo::SESSION_CORRUPT, ErrorInfo::FILE_SYSTEM,
                            ErrorInfo::SPOOL_UNUSABLE, ErrorInfo::BAD_MESSAGE}) {
    EXPECT_FALSE(allowed(plan, unavailable(reason, true))) << ErrorInfo::Reason_Name(reason);
  }
}

TEST(PlanTest, CallsWithoutADeadlineAreBoundedToo) {
  std::mt19937_64 random(1);
  for (uint32_t i = 0; i < 10000; ++i) {
    const Plan plan = DrawPlan(&random, 1, i);
    EXPECT_LE(BoundOf(plan), absl::Minutes(6)) << Describe(plan);
    EXPECT_LE(BoundOf(plan), std::max(plan.timeout, absl::ZeroDuration())) << Describe(plan);
  }
}

TEST(PayloadTest, IsOfItsPlaceOnly) {
  for (const size_t size : {1, 8, 1000, 1001}) {
    const std::string payload = MakePayload(5, Direction::kRequest, 3, size);
    const auto error = [&](uint64_t call, Direction direction, uint32_t index) {
      return PayloadError(payload, call, direction, index, size);
    };
    EXPECT_EQ(error(5, Direction::kRequest, 3), "");
    EXPECT_NE(PayloadError(payload, 5, Direction::kRequest, 3, size + 1), "");
    if (size < 8) continue;
    EXPECT_NE(error(7, Direction::kRequest, 3), "");
    EXPECT_NE(error(5, Direction::kReply, 3), "");
    EXPECT_NE(error(5, Direction::kRequest, 2), "");
    for (const size_t at : {size_t{0}, size / 2, size - 1}) {
      std::string flipped = payload;
      flipped[at] ^= 1;
      EXPECT_NE(PayloadError(flipped, 5, Direction::kRequest, 3, size), "");
    }
  }
}

TEST(LedgerTest, FindsWhatWasPromisedNotToBe) {
  const uint64_t call = CallName(1, 2, false);
  const uint64_t idempotent = CallName(1, 3, true);
  constexpr auto kExecuted = LedgerEntry::kExecuted;
  constexpr auto kCertainlyNot = LedgerEntry::kCertainlyNot;
  EXPECT_TRUE(
      LedgerErrors({{kExecuted, call}, {kExecuted, idempotent}, {kExecuted, idempotent}}).empty());
  EXPECT_EQ(LedgerErrors({{kExecuted, call}, {kExecuted, call}}).size(), 1);
  EXPECT_EQ(LedgerErrors({{kCertainlyNot, call}, {kExecuted, call}}).size(), 1);
  EXPECT_EQ(LedgerErrors({{kExecuted, idempotent}, {kCertainlyNot, idempotent}}).size(), 1);
}

TEST(GrowthTest, ComparesAfterTheBeginning) {
  const auto grown = [](const std::vector<int64_t>& files) {
    Growth growth;
    for (const int64_t count : files) growth.Add({count, 1, 1});
    GrowthBound bound;
    bound.share = 0.5;
    bound.files = 2;
    return !growth.Errors(bound).empty();
  };
  EXPECT_FALSE(grown({}));
  EXPECT_FALSE(grown({1, 100, 100, 100, 100, 152}));
  EXPECT_TRUE(grown({1, 100, 100, 100, 100, 153}));
  EXPECT_FALSE(grown({1, 1, 100, 1, 100, 1, 100, 1, 100, 1, 1, 1})) << "it shrinks again";
}

}  // namespace
}  // namespace spoolrpc::soak
