#include "spoolrpc/client/hedged_call.h"

#include <algorithm>
#include <string>
#include <utility>

#include "spoolrpc/client/retrying_call.h"
#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::client {

HedgedCall::HedgedCall(std::shared_ptr<Channel> channel, const MethodInfo& method,
                       ClientContext* context, const CallSettings& settings,
                       const HedgingPolicy& policy, const google::protobuf::MessageLite* request,
                       google::protobuf::MessageLite* reply, std::function<void(absl::Status)> done)
    : channel_(std::move(channel)),
      method_(method),
      context_(context),
      settings_(settings),
      reply_(reply),
      done_(std::move(done)),
      state_(policy, channel_->throttle_.get(), channel_->resources_->clock->Now()) {
  absl::MutexLock lock(&mu_);
  request_.reset(request->New());
  request_->CheckTypeAndMergeFrom(*request);
}

void HedgedCall::Start() {
  const std::weak_ptr<HedgedCall> weak = weak_from_this();
  ContextAccess(context_).SetCancelHook([weak] {
    if (const auto self = weak.lock()) self->CancelCopies();
  });
  if (!ContextAccess(context_).cancelled()) return SendDue();
  // Nothing is sent. Callbacks are called on threads of the runtime.
  exec::ThreadPool::Shared()->Run([self = shared_from_this()] {
    self->Finish(NoSession(absl::CancelledError(""), self->method_, self->settings_,
                           self->settings_.began, *self->channel_->resources_),
                 nullptr);
  });
}

std::shared_ptr<StreamCall> HedgedCall::NewCopy() {
  CallSettings settings =
      NextAttempt(settings_, state_.previous_attempts() - 1, channel_->resources_->clock->Now());
  for (const auto& other : copies_) {
    if (other->ended) continue;
    const std::string server = other->call->server_id();
    if (!server.empty()) settings.avoid.push_back(server);
  }
  auto owned = std::make_unique<Copy>();
  Copy* const copy = owned.get();
  for (const auto& [key, value] : ContextAccess(context_).metadata()) {
    copy->context.AddMetadata(key, value);
  }
  copy->request.reset(request_->New());
  copy->request->CheckTypeAndMergeFrom(*request_);
  copy->reply.reset(reply_->New());
  copy->call = std::make_shared<StreamCall>(channel_->resources_.get(), method_, &copy->context,
                                            settings, copy->request.get(), copy->reply.get());
  copy->call->BindCallback([self = shared_from_this(),
                            copy](absl::Status status) { self->OnEnd(copy, std::move(status)); },
                           channel_);
  copies_.push_back(std::move(owned));
  return copy->call;
}

void HedgedCall::SendDue() {
  for (;;) {
    std::shared_ptr<StreamCall> call;
    absl::Status status;
    {
      absl::MutexLock lock(&mu_);
      if (finished_) return;
      const os::Nanos now = channel_->resources_->clock->Now();
      switch (state_.TakeDue(now)) {
        case HedgingState::Due::kSend:
          call = NewCopy();
          break;
        case HedgingState::Due::kNothing:
          if (state_.due() != os::kNever) {
            const std::weak_ptr<HedgedCall> weak = weak_from_this();
            channel_->timers_->At(state_.due(), [weak] {
              auto self = weak.lock();
              if (self == nullptr) return;
              exec::ThreadPool::Shared()->Run([self = std::move(self)] { self->SendDue(); });
            });
          }
          return;
        case HedgingState::Due::kFinish:
          status = last_;
          break;
      }
    }
    if (call == nullptr) {
      Finish(std::move(status), nullptr);
      return;
    }
    call->StartCall();
    // The caller may have cancelled before there was this copy.
    bool cancelled = false;
    {
      absl::MutexLock lock(&mu_);
      if (finished_) return;  // the caller's context may be gone
      cancelled = ContextAccess(context_).cancelled();
    }
    if (cancelled) CancelCopies();
  }
}

void HedgedCall::OnEnd(Copy* copy, absl::Status status) {
  bool finish = false;
  {
    absl::MutexLock lock(&mu_);
    copy->ended = true;
    copy->call.reset();
    if (finished_) return;
    const auto info = GetErrorInfo(status);
    if (!info.has_value() || info->may_have_executed()) may_have_executed_ = true;
    finish =
        state_.OnEnd(status, PushbackOf(ContextAccess(&copy->context).trailing_metadata(), status),
                     channel_->resources_->clock->Now()) == HedgingState::Ended::kFinish;
    last_ = status;
  }
  if (finish) {
    Finish(std::move(status), copy);
  } else {
    SendDue();
  }
}

void HedgedCall::Finish(absl::Status status, Copy* copy) {
  {
    absl::MutexLock lock(&mu_);
    if (finished_) return;
    finished_ = true;
    // What becomes of copies that are still open nobody learns any more.
    const bool open = std::any_of(copies_.begin(), copies_.end(),
                                  [](const auto& other) { return !other->ended; });
    if (may_have_executed_ || open) rpc::MarkMayHaveExecuted(&status);
  }
  ContextAccess access(context_);
  access.SetCancelHook(nullptr);
  if (copy != nullptr) {
    const ContextAccess own(&copy->context);
    if (status.ok()) {
      reply_->Clear();
      reply_->CheckTypeAndMergeFrom(*copy->reply);
    }
    access.SetInitialMetadata(copy->context.GetServerInitialMetadata());
    access.SetTrailingMetadata(copy->context.GetServerTrailingMetadata());
    access.SetPeer(own.shared_peer());
    if (own.acknowledged()) access.SetAcknowledged();
  }
  CancelCopies();
  done_(std::move(status));
}

void HedgedCall::CancelCopies() {
  // The contexts live as long as this object.
  std::vector<ClientContext*> open;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& copy : copies_) {
      if (!copy->ended) open.push_back(&copy->context);
    }
  }
  for (ClientContext* const context : open) context->TryCancel();
}

}  // namespace spoolrpc::client
