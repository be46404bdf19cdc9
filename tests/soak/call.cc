#include "tests/soak/call.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/soak/ledger.h"
#include "tests/soak/payload.h"

namespace spoolrpc::soak {

Call::Call(const Plan& plan, OpenCalls* open, exec::TimerQueue* timers)
    : plan_(plan), open_(open), timers_(timers) {}

Job Call::Request(uint32_t index) const {
  Job job = index == 0 && !plan_.client_streams() ? MakeJob(plan_) : Job();
  job.set_call(plan_.call);
  job.set_index(index);
  job.set_size(plan_.request_size);
  job.set_payload(MakePayload(plan_.call, Direction::kRequest, index, plan_.request_size));
  return job;
}

void Call::Begin(ClientContext* context) {
  context->set_timeout(plan_.timeout);
  context->set_ack_timeout(plan_.ack_timeout);
  if (plan_.wait_for_ready.has_value()) context->set_wait_for_ready(*plan_.wait_for_ready);
  if (plan_.compress_request) context->set_compression(Compression::kZstd);
  context->AddMetadata(kCallKey, absl::StrCat(plan_.call));
  if (plan_.client_streams()) context->AddMetadata(kJobKey, MakeJob(plan_).SerializeAsString());
  open_->Begin(plan_);
  if (!plan_.cancel_after.has_value()) return;
  if (*plan_.cancel_after == absl::ZeroDuration()) {
    SetCancelled();
    context->TryCancel();
  } else if (context == &context_) {
    After(*plan_.cancel_after, [self = shared_from_this()] { self->Cancel(); });
  }
}

void Call::Cancel() {
  SetCancelled();
  context_.TryCancel();
}

void Call::Take(const Answer& answer) {
  const uint32_t index = ending_.answers++;
  if (!ending_.wrong.empty()) return;
  if (answer.call() != plan_.call) {
    ending_.wrong = absl::StrCat("the answer of call ", CallText(answer.call()));
  } else if (answer.index() != index) {
    ending_.wrong = absl::StrCat("answer ", answer.index(), " instead of ", index);
  } else {
    ending_.wrong =
        PayloadError(answer.payload(), plan_.call, Direction::kReply, index, plan_.reply_size);
  }
  // (A stream's answers tell how far the handler had read when it wrote each.)
  if (ending_.wrong.empty() && !plan_.server_streams() &&
      answer.messages() != plan_.requests_read()) {
    ending_.wrong = absl::StrCat("the handler read ", answer.messages(), " messages instead of ",
                                 plan_.requests_read());
  }
}

void Call::End(const ClientContext& call_context, const absl::Status& status, bool read_to_end) {
  ending_.status = status;
  ending_.read_to_end = read_to_end;
  ending_.cancelled = cancelled_.load();
  if (status.ok()) {
    const auto& metadata = call_context.GetServerInitialMetadata();
    const auto name = metadata.find(kCallKey);
    if (name == metadata.end() || name->second != absl::StrCat(plan_.call)) {
      ending_.wrong = "metadata of another call, or none";
    }
  }
  open_->End(plan_, ending_, call_context.peer());
}

void Call::Drop() {
  ending_.dropped = true;
  open_->End(plan_, ending_, "");
}

void Call::After(absl::Duration pause, std::function<void()> work) {
  timers_->At(os::After(os::Clock::Real()->Now(), pause), std::move(work));
}

void Call::Pause() const { absl::SleepFor(plan_.pause); }

}  // namespace spoolrpc::soak
