#include "tests/soak/plan.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "tests/soak/ledger.h"

namespace spoolrpc::soak {
namespace {

constexpr int kMostAttempts = 3;  // soak.proto
// What the pauses between attempts, and those within streams, may add.
constexpr absl::Duration kPauses = absl::Seconds(1);
// Bytes a second. A call without a deadline lasts as long as its server works on it, and with small
// logs on a disk that all others write to every few kilobytes wait for it.
constexpr double kSlowest = 32 << 10;
// Bytes of a stream in one direction, or one message.
constexpr uint64_t kMostBytes = 2 << 20;

constexpr const char* kNames[] = {"Unary",    "AckFirst", "Again",  "Hedged", "Inline",
                                  "Gathered", "Collect",  "Expand", "Talk"};

class Draw {
 public:
  explicit Draw(std::mt19937_64* random) : random_(random) {}

  // From 0 to below `end`.
  uint64_t Below(uint64_t end) { return (*random_)() % end; }
  bool Percent(int percent) { return Below(100) < static_cast<uint64_t>(percent); }
  absl::Duration UpTo(absl::Duration most) {
    return absl::Microseconds(Below(absl::ToInt64Microseconds(most) + 1));
  }
  // Mostly small ones.
  size_t Size() {
    if (Percent(70)) return Below(200);
    if (Percent(70)) return Below(16 << 10);
    if (Percent(75)) return Below(200 << 10);
    return Below(kLargestPayload + 1);
  }

 private:
  std::mt19937_64* const random_;
};

Method DrawMethod(Draw* draw, bool reactors) {
  if (draw->Percent(45)) {
    constexpr Method kStreams[] = {Method::kCollect, Method::kExpand, Method::kTalk};
    return kStreams[draw->Below(std::size(kStreams))];
  }
  if (reactors) return Method::kUnary;
  constexpr Method kUnary[] = {Method::kUnary,  Method::kUnary,  Method::kAckFirst, Method::kAgain,
                               Method::kHedged, Method::kInline, Method::kGathered};
  return kUnary[draw->Below(std::size(kUnary))];
}

void DrawTimes(Draw* draw, Plan* plan) {
  if (draw->Percent(40))
    plan->handler = draw->UpTo(absl::Milliseconds(draw->Percent(75) ? 2 : 100));
  if (draw->Percent(35)) {
    plan->timeout = draw->UpTo(absl::Seconds(5));
  } else if (draw->Percent(20)) {
    // It may have passed before the call begins.
    plan->timeout = draw->UpTo(absl::Milliseconds(50)) - absl::Milliseconds(2);
  }
  if (draw->Percent(30)) plan->ack_timeout = absl::Seconds(3) + draw->UpTo(absl::Seconds(15));
  if (draw->Percent(10)) plan->wait_for_ready = draw->Percent(50);
  if (draw->Percent(10)) {
    plan->cancel_after = absl::ZeroDuration();
  } else if (draw->Percent(30)) {
    plan->cancel_after = draw->UpTo(absl::Milliseconds(draw->Percent(50) ? 5 : 500));
  }
}

void DrawStream(Draw* draw, Plan* plan) {
  if (draw->Percent(30)) plan->pause = draw->UpTo(absl::Milliseconds(5));
  // So that even large messages take no longer than a call may.
  const size_t size = std::max(plan->request_size, plan->reply_size);
  const uint64_t most = std::clamp<uint64_t>(kMostBytes / (size + 1), 1, 40);
  if (plan->client_streams()) {
    plan->messages = draw->Below(most + 1);
    if (draw->Percent(20)) plan->stop_after = 1 + draw->Below(most);
  }
  if (plan->method == Method::kExpand) plan->replies = draw->Below(most + 1);
  if (draw->Percent(20)) plan->abandon_after = draw->Below(most);
}

}  // namespace

uint32_t Plan::requests_read() const {
  return stop_after > 0 ? std::min(stop_after, messages) : messages;
}

uint32_t Plan::answers() const {
  if (method == Method::kTalk) return requests_read();
  return method == Method::kExpand ? replies : 1;
}

Plan DrawPlan(std::mt19937_64* random, uint64_t client, uint32_t number) {
  Draw draw(random);
  Plan plan;
  plan.reactors = draw.Percent(40);
  plan.method = DrawMethod(&draw, plan.reactors);
  plan.call = CallName(client, number, plan.idempotent());
  plan.request_size = draw.Size();
  plan.reply_size = draw.Size();
  DrawTimes(&draw, &plan);
  if (plan.streams()) DrawStream(&draw, &plan);
  if (draw.Percent(10)) plan.code = static_cast<absl::StatusCode>(1 + draw.Below(16));
  plan.compress_request = draw.Percent(20);
  plan.compress_reply = draw.Percent(20);
  return plan;
}

Job MakeJob(const Plan& plan) {
  Job job;
  job.set_call(plan.call);
  job.set_reply_size(plan.reply_size);
  job.set_replies(plan.replies);
  job.set_stop_after(plan.stop_after);
  job.set_microseconds(absl::ToInt64Microseconds(plan.handler));
  job.set_code(static_cast<int32_t>(plan.code));
  job.set_compress(plan.compress_reply);
  return job;
}

absl::Duration BoundOf(const Plan& plan) {
  // Who waits until a server is ready begins to count anew when there is one.
  const int waits = plan.wait_for_ready.value_or(false) ? 2 : 1;
  const double bytes = static_cast<double>(plan.messages) * plan.request_size +
                       static_cast<double>(plan.answers()) * plan.reply_size;
  absl::Duration bound =
      (waits * plan.ack_timeout + plan.handler + absl::Seconds(bytes / kSlowest)) *
          (plan.idempotent() ? kMostAttempts : 1) +
      kPauses;
  bound = std::min(bound, plan.timeout);
  if (plan.cancel_after.has_value()) bound = std::min(bound, *plan.cancel_after);
  return std::max(bound, absl::ZeroDuration());
}

std::string Describe(const Plan& plan) {
  std::string text = absl::StrCat(
      plan.reactors ? "Reactors." : "Blocking.", kNames[static_cast<int>(plan.method)], " call ",
      CallText(plan.call), ", ", plan.messages, " requests of ", plan.request_size,
      " bytes, answers of ", plan.reply_size, ", handler ", absl::FormatDuration(plan.handler),
      ", timeout ", absl::FormatDuration(plan.timeout), ", ack timeout ",
      absl::FormatDuration(plan.ack_timeout));
  if (plan.method == Method::kExpand) absl::StrAppend(&text, ", ", plan.replies, " answers");
  if (plan.stop_after > 0) absl::StrAppend(&text, ", stop after ", plan.stop_after);
  if (plan.abandon_after.has_value()) {
    absl::StrAppend(&text, ", abandoned after ", *plan.abandon_after);
  }
  if (plan.cancel_after.has_value()) {
    absl::StrAppend(&text, ", cancelled after ", absl::FormatDuration(*plan.cancel_after));
  }
  if (plan.wait_for_ready.has_value()) {
    absl::StrAppend(&text, ", wait for ready ", *plan.wait_for_ready ? "true" : "false");
  }
  if (plan.code != absl::StatusCode::kOk) {
    absl::StrAppend(&text, ", told to fail with ", absl::StatusCodeToString(plan.code));
  }
  return text;
}

std::string ToldToFail(uint64_t call) { return absl::StrCat(kToldToFail, CallText(call)); }

absl::Status NobodyWaits() { return absl::AbortedError("nobody waits"); }

}  // namespace spoolrpc::soak
