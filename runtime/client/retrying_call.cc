#include "spoolrpc/client/retrying_call.h"

#include <utility>

#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::client {

bool WorthAnotherAttempt(const absl::Status& status) {
  const auto info = GetErrorInfo(status);
  if (!info.has_value()) return true;
  switch (info->reason()) {
    case ErrorInfo::ACK_TIMEOUT:
    case ErrorInfo::SERVER_LOST:
    case ErrorInfo::SESSION_CORRUPT:
    case ErrorInfo::NOT_STARTED:
    case ErrorInfo::DISCARDED:
      return true;
    default:
      return false;
  }
}

CallSettings NextAttempt(const CallSettings& settings, int attempts, os::Nanos now) {
  CallSettings next = settings;
  next.previous_attempts = attempts;
  next.ack_deadline = os::After(now, absl::Nanoseconds(settings.ack_timeout));
  next.connect_deadline = settings.connect_deadline == settings.deadline
                              ? settings.deadline
                              : std::min(settings.deadline, next.ack_deadline);
  return next;
}

RetryingCall::RetryingCall(std::shared_ptr<Channel> channel, const MethodInfo& method,
                           ClientContext* context, const CallSettings& settings,
                           const RetryPolicy& policy, const google::protobuf::MessageLite* request,
                           google::protobuf::MessageLite* reply,
                           std::function<void(absl::Status)> done)
    : channel_(std::move(channel)),
      method_(method),
      context_(context),
      settings_(settings),
      request_(request),
      reply_(reply),
      done_(std::move(done)),
      state_(policy, ThrottleFor(policy, channel_->throttle_.get())) {}

void RetryingCall::Attempt() {
  const CallSettings settings =
      NextAttempt(settings_, state_.previous_attempts(), channel_->resources_->clock->Now());
  auto call = std::make_shared<StreamCall>(channel_->resources_.get(), method_, context_, settings,
                                           request_, reply_);
  call->BindCallback(
      [self = shared_from_this()](absl::Status status) { self->OnEnd(std::move(status)); },
      channel_);
  call->StartCall();
}

void RetryingCall::OnEnd(absl::Status status) {
  ContextAccess access(context_);
  const auto info = GetErrorInfo(status);
  if (!info.has_value() || info->may_have_executed()) may_have_executed_ = true;
  const auto delay = state_.OnEnd(status, PushbackOf(access.trailing_metadata(), status));
  const os::Nanos now = channel_->resources_->clock->Now();
  if (status.ok() || !delay.has_value() || !WorthAnotherAttempt(status) ||
      os::After(now, *delay) >= settings_.deadline) {
    Finish(std::move(status));
    return;
  }
  if (access.cancelled()) {
    Finish(Cancelled());
    return;
  }
  access.SetInitialMetadata({});
  access.SetTrailingMetadata({});
  const std::weak_ptr<RetryingCall> weak = weak_from_this();
  access.SetCancelHook([weak] {
    if (const auto self = weak.lock()) self->Cancel();
  });
  absl::MutexLock lock(&mu_);
  self_ = shared_from_this();
  timer_ = channel_->timers_->At(os::After(now, *delay), [weak] {
    auto self = weak.lock();
    if (self == nullptr) return;
    exec::ThreadPool::Shared()->Run([self = std::move(self)] {
      std::shared_ptr<RetryingCall> paused;
      {
        absl::MutexLock inner(&self->mu_);
        if (self->timer_ == 0) return;  // it was cancelled meanwhile
        self->timer_ = 0;
        paused.swap(self->self_);
      }
      self->Attempt();
    });
  });
  if (!access.cancelled()) return;
  // Before there was anything to cancel.
  exec::ThreadPool::Shared()->Run([self = shared_from_this()] { self->Cancel(); });
}

void RetryingCall::Cancel() {
  std::shared_ptr<RetryingCall> paused;
  {
    absl::MutexLock lock(&mu_);
    if (timer_ == 0) return;
    channel_->timers_->Cancel(timer_);
    timer_ = 0;
    paused.swap(self_);
  }
  exec::ThreadPool::Shared()->Run([self = std::move(paused)] { self->Finish(self->Cancelled()); });
}

absl::Status RetryingCall::Cancelled() const {
  return rpc::TransportError(absl::StatusCode::kCancelled, ErrorInfo::CANCELLED,
                             "the caller cancelled the call", may_have_executed_,
                             method_.full_name);
}

void RetryingCall::Finish(absl::Status status) {
  ContextAccess(context_).SetCancelHook(nullptr);
  if (may_have_executed_) rpc::MarkMayHaveExecuted(&status);
  done_(std::move(status));
}

}  // namespace spoolrpc::client
