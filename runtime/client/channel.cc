#include "spoolrpc/client/channel.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "spoolrpc/client/call_limit.h"
#include "spoolrpc/client/client_call.h"
#include "spoolrpc/client/client_session.h"
#include "spoolrpc/client/durable_channel.h"
#include "spoolrpc/client/hedged_call.h"
#include "spoolrpc/client/retrying_call.h"
#include "spoolrpc/client/session_pool.h"
#include "spoolrpc/client/stream_call.h"
#include "spoolrpc/exec/deadline_set.h"
#include "spoolrpc/exec/lock_checks.h"
#include "spoolrpc/exec/reaper.h"
#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/metrics/call_counter.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/spool/address.h"
#include "spoolrpc/spool/reason.h"

namespace spoolrpc {
namespace {

constexpr absl::Duration kAckTimeout = absl::Seconds(20);

// The most specific setting: the context's, the channel's, the IDL's, the usual one.
absl::Duration Choose(const std::optional<absl::Duration>& context,
                      const std::optional<absl::Duration>& channel, int64_t idl_ns,
                      absl::Duration usual) {
  if (context.has_value()) return *context;
  if (channel.has_value()) return *channel;
  if (idl_ns > 0) return absl::Nanoseconds(idl_ns);
  return usual;
}

client::StatusCodeSet CodesOf(StatusCodeBits bits) {
  client::StatusCodeSet codes;
  for (int code = 0; code < 32; ++code) {
    if ((bits >> code & 1) != 0) codes.Add(static_cast<absl::StatusCode>(code));
  }
  return codes;
}

std::shared_ptr<os::SystemCalls> CountedCalls(const ChannelOptions& options) {
  if (options.metrics == nullptr) return nullptr;
  return options.metrics->CountFileOperations(options.environment.calls);
}

ChannelOptions WithCalls(ChannelOptions options, os::SystemCalls* calls) {
  if (calls != nullptr) options.environment.calls = calls;
  return options;
}

// What a program holds of a streaming call that blocks.
class BlockingStream final : public ClientStream {
 public:
  BlockingStream(std::shared_ptr<const Channel> channel, std::shared_ptr<client::StreamCall> call)
      : channel_(std::move(channel)), call_(std::move(call)) {}
  ~BlockingStream() override { call_->Abandon(); }

  void WaitForInitialMetadata() override { call_->WaitForInitialMetadata(); }
  bool Read(google::protobuf::MessageLite* message) override { return call_->Read(message); }
  bool Write(const google::protobuf::MessageLite& message, WriteOptions options) override {
    return call_->Write(message, options);
  }
  bool WritesDone() override { return call_->WritesDone(); }
  absl::Status Finish() override { return call_->Finish(); }

 private:
  const std::shared_ptr<const Channel> channel_;
  const std::shared_ptr<client::StreamCall> call_;
};

}  // namespace

Channel::Channel(std::string path, const ChannelOptions& options)
    : path_(std::move(path)),
      calls_(CountedCalls(options)),
      options_(WithCalls(options, calls_.get())),
      throttle_(std::make_unique<client::RetryThrottle>(options.retry_max_tokens,
                                                        options.retry_token_ratio)),
      limit_(std::make_unique<client::CallLimit>(options.max_calls_in_flight)),
      timers_(std::make_unique<exec::TimerQueue>(options.environment.clock)),
      deadlines_(std::make_unique<exec::DeadlineSet>(options.environment.clock, timers_.get())),
      pool_(std::make_unique<client::SessionPool>(path_, options_, calls_)),
      resources_(std::make_unique<client::CallResources>(
          client::CallResources{pool_.get(), deadlines_.get(), options.environment.clock, path_,
                                options.max_send_message_size, options.max_receive_message_size})),
      durable_(std::make_unique<client::DurableChannel>(client::DurableChannelOptions{
          options_.environment, path_, options.transport,
          options.durability == Durability::kPowerLoss, options.timeout,
          options.max_send_message_size, options.max_receive_message_size,
          options.poll_interval})) {}

Channel::~Channel() = default;

MutableBytes Channel::AllocateRequest(size_t size) {
  if (size >= options_.bulk_threshold && size <= options_.max_send_message_size) {
    if (const auto session = pool_->TryGet(nullptr)) return session->AllocateRequest(size);
  }
  return MutableBytes(size);
}

DurableInterface* Channel::durable() { return durable_.get(); }

client::CallSettings Channel::SettingsOf(const MethodInfo& method, ClientContext* context) const {
  const client::ContextAccess access(context);
  client::CallSettings settings;
  settings.began = options_.environment.clock->Now();
  settings.deadline = os::After(
      settings.began,
      Choose(access.timeout(), options_.timeout, method.timeout_ns, absl::InfiniteDuration()));
  const absl::Duration ack_timeout =
      Choose(access.ack_timeout(), options_.ack_timeout, method.ack_timeout_ns, kAckTimeout);
  settings.ack_timeout = absl::ToInt64Nanoseconds(ack_timeout);
  settings.ack_deadline = os::After(settings.began, ack_timeout);
  const bool patient = access.wait_for_ready().value_or(false);
  settings.connect_deadline =
      patient ? settings.deadline : std::min(settings.deadline, settings.ack_deadline);
  settings.fail_fast = !access.wait_for_ready().value_or(true);
  for (const Compression compression :
       {access.compression(), options_.compression, method.compression}) {
    if (compression == Compression::kDefault) continue;
    settings.compression = compression;
    break;
  }
  return settings;
}

absl::Status Channel::CheckCall(const MethodInfo& method, ClientContext* context,
                                const google::protobuf::MessageLite* request, size_t* size) const {
  client::ContextAccess access(context);
  if (!access.BeginUse()) {
    return absl::FailedPreconditionError(
        absl::StrCat(method.full_name, ": the ClientContext was used for another call already"));
  }
  *size = 0;
  if (request != nullptr) {
    if (absl::Status s = rpc::CheckSerializable(*request, method.full_name, size); !s.ok()) {
      return rpc::TransportErrorFrom(s, ErrorInfo::BAD_MESSAGE, false);
    }
    if (*size > options_.max_send_message_size) {
      return rpc::TransportError(
          absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
          absl::StrCat("the request has ", *size, " bytes, this channel sends at most ",
                       options_.max_send_message_size),
          false, method.full_name);
    }
  }
  return access.metadata().empty() ? absl::OkStatus() : rpc::CheckMetadata(access.metadata());
}

std::optional<RetryPolicy> Channel::RetryPolicyOf(const MethodInfo& method) const {
  if (method.idempotency == Idempotency::kUnknown || method.hedging.max_attempts > 0) return {};
  if (method.retry.max_attempts == 0) {
    if (options_.retry.has_value() || options_.hedging.has_value()) return options_.retry;
    if (!options_.failover) return {};
    return client::FailoverPolicy();
  }
  RetryPolicy policy;
  policy.max_attempts = method.retry.max_attempts;
  policy.initial_backoff = absl::Nanoseconds(method.retry.initial_backoff_ns);
  policy.max_backoff = absl::Nanoseconds(method.retry.max_backoff_ns);
  policy.multiplier = method.retry.backoff_multiplier;
  policy.retryable = CodesOf(method.retry.retryable_codes);
  return policy;
}

std::optional<HedgingPolicy> Channel::HedgingPolicyOf(const MethodInfo& method) const {
  if (method.idempotency == Idempotency::kUnknown || method.retry.max_attempts > 0) return {};
  if (method.hedging.max_attempts == 0) return options_.hedging;
  HedgingPolicy policy;
  policy.max_attempts = method.hedging.max_attempts;
  policy.hedging_delay = absl::Nanoseconds(method.hedging.delay_ns);
  policy.non_fatal = CodesOf(method.hedging.non_fatal_codes);
  return policy;
}

absl::Status Channel::TakePlace(const MethodInfo& method, ClientContext* context,
                                const client::CallSettings& settings) {
  if (limit_->TryAcquire()) return absl::OkStatus();
  client::ContextAccess access(context);
  if (options_.when_full == WhenFull::kBlock) {
    access.SetCancelHook([this] { limit_->WakeAll(); });
    const bool acquired = limit_->Acquire(*options_.environment.clock,
                                          std::min(settings.deadline, settings.ack_deadline),
                                          [&] { return access.cancelled(); });
    access.SetCancelHook(nullptr);
    if (acquired) return absl::OkStatus();
    if (access.cancelled()) {
      return client::NoSession(absl::CancelledError(""), method, settings, settings.began,
                               *resources_);
    }
  }
  return rpc::TransportError(
      absl::StatusCode::kResourceExhausted, ErrorInfo::NOT_STARTED,
      absl::StrCat(limit_->most(),
                   " calls of this channel are under way; raise "
                   "ChannelOptions.max_calls_in_flight or make fewer at once"),
      false, method.full_name);
}

void Channel::OnUnobservedError(const MethodInfo& method, const absl::Status& status) {
  if (!options_.report_unobserved_errors) return;
  absl::MutexLock lock(&mu_);
  if (!unobserved_.ok()) return;  // the first
  unobserved_ = absl::Status(
      status.code(), absl::StrCat("not this call, but one of ", method.full_name,
                                  " before it, whose future nobody looked at: ", status.message()));
  has_unobserved_.store(true, std::memory_order_release);
}

absl::Status Channel::TakeUnobservedError() {
  if (!has_unobserved_.load(std::memory_order_acquire)) return absl::OkStatus();
  absl::MutexLock lock(&mu_);
  has_unobserved_.store(false, std::memory_order_relaxed);
  return std::exchange(unobserved_, absl::OkStatus());
}

ChannelState Channel::GetState(bool try_to_connect) {
  const ChannelState state = pool_->state();
  if (state == ChannelState::kIdle && try_to_connect) {
    pool_->GetAsync(nullptr, /*fail_fast=*/false,
                    [](const absl::StatusOr<std::shared_ptr<client::ClientSession>>&) {});
    return ChannelState::kConnecting;
  }
  return state;
}

bool Channel::WaitForConnected(absl::Time deadline) {
  const os::Nanos until = os::After(options_.environment.clock->Now(), deadline - absl::Now());
  for (;;) {
    if (pool_->Get(nullptr, until, /*fail_fast=*/false, [] { return false; }).ok()) return true;
    // (A spool that cannot be used now may be mended.)
    if (options_.environment.clock->Now() >= until) return false;
    absl::SleepFor(absl::Milliseconds(50));
  }
}

metrics::CallCounter Channel::CountCall(const MethodInfo& method) const {
  if (options_.metrics == nullptr) return metrics::CallCounter();
  const os::Clock* const clock = options_.environment.clock;
  return metrics::CallCounter(options_.metrics->ForMethod(method.full_name), clock, clock->Now());
}

std::shared_ptr<client::StreamCall> Channel::MakeCall(const MethodInfo& method,
                                                      ClientContext* context,
                                                      const google::protobuf::MessageLite* request,
                                                      google::protobuf::MessageLite* reply) {
  const metrics::CallCounter counter = CountCall(method);
  size_t size = 0;
  absl::Status checked = CheckCall(method, context, request, &size);
  const client::CallSettings settings = SettingsOf(method, context);
  if (checked.ok()) checked = TakeUnobservedError();
  const bool place = checked.ok();
  if (checked.ok()) checked = TakePlace(method, context, settings);
  auto call = std::make_shared<client::StreamCall>(resources_.get(), method, context, settings,
                                                   request, reply);
  call->set_counter(counter);
  if (!checked.ok()) {
    call->FailWith(std::move(checked));
  } else if (place) {
    call->set_limit(limit_.get());
  }
  return call;
}

std::unique_ptr<ClientStream> Channel::StartStream(const MethodInfo& method, ClientContext* context,
                                                   const google::protobuf::MessageLite* request,
                                                   google::protobuf::MessageLite* reply) {
  auto call = MakeCall(method, context, request, reply);
  call->Begin();
  return std::make_unique<BlockingStream>(shared_from_this(), std::move(call));
}

void Channel::StartUnaryCall(const MethodInfo& method, ClientContext* context,
                             const google::protobuf::MessageLite* request,
                             google::protobuf::MessageLite* reply,
                             std::function<void(absl::Status)> done) {
  const auto hedging = HedgingPolicyOf(method);
  const auto retry = RetryPolicyOf(method);
  if (!hedging.has_value() && !retry.has_value()) {
    auto call = MakeCall(method, context, request, reply);
    call->BindCallback(std::move(done), shared_from_this());
    call->StartCall();
    return;
  }
  const metrics::CallCounter counter = CountCall(method);
  size_t size = 0;
  absl::Status checked = CheckCall(method, context, request, &size);
  const client::CallSettings settings = SettingsOf(method, context);
  if (checked.ok()) checked = TakeUnobservedError();
  if (checked.ok()) checked = TakePlace(method, context, settings);
  if (!checked.ok()) {
    counter.OnEnd(checked.code());
    exec::ThreadPool::Shared()->Run(
        [done = std::move(done), checked = std::move(checked)] { done(checked); });
    return;
  }
  counter.OnSend(size);
  const auto ended = [self = shared_from_this(), done = std::move(done), counter,
                      reply](absl::Status status) {
    self->limit_->Release();
    if (counter.counts() && status.ok()) counter.OnReceive(reply->ByteSizeLong());
    counter.OnEnd(status.code());
    done(std::move(status));
  };
  if (hedging.has_value()) {
    std::make_shared<client::HedgedCall>(shared_from_this(), method, context, settings, *hedging,
                                         request, reply, ended)
        ->Start();
  } else {
    std::make_shared<client::RetryingCall>(shared_from_this(), method, context, settings, *retry,
                                           request, reply, ended)
        ->Start();
  }
}

void Channel::PrepareCall(const MethodInfo& method, ClientContext* context,
                          const google::protobuf::MessageLite* request,
                          google::protobuf::MessageLite* reply, ClientReactor* reactor) {
  auto call = MakeCall(method, context, request, reply);
  call->BindReactor(reactor, shared_from_this());
  reactor->BindCall(std::move(call));
}

absl::Status Channel::BlockingUnaryCall(const MethodInfo& method, ClientContext* context,
                                        const google::protobuf::MessageLite& request,
                                        google::protobuf::MessageLite* reply) {
  if (HedgingPolicyOf(method).has_value()) {
    absl::Notification ended;
    absl::Status result;
    StartUnaryCall(method, context, &request, reply, [&](absl::Status status) {
      result = std::move(status);
      ended.Notify();
    });
    ended.WaitForNotification();
    return result;
  }
  const metrics::CallCounter counter = CountCall(method);
  absl::Status status = WaitForUnaryCall(method, context, request, reply, counter);
  if (counter.counts() && status.ok()) counter.OnReceive(reply->ByteSizeLong());
  counter.OnEnd(status.code());
  return status;
}

absl::Status Channel::WaitForUnaryCall(const MethodInfo& method, ClientContext* context,
                                       const google::protobuf::MessageLite& request,
                                       google::protobuf::MessageLite* reply,
                                       const metrics::CallCounter& counter) {
  size_t size = 0;
  if (absl::Status s = CheckCall(method, context, &request, &size); !s.ok()) return s;
  if (absl::Status s = TakeUnobservedError(); !s.ok()) return s;
  const client::CallSettings settings = SettingsOf(method, context);
  if (absl::Status s = TakePlace(method, context, settings); !s.ok()) return s;
  counter.OnSend(size);
  const auto policy = RetryPolicyOf(method);
  absl::Status status =
      policy.has_value()
          ? UnaryWithRetries(method, context, settings, *policy, request, size, reply)
          : UnaryOnce(method, context, settings, request, size, reply);
  limit_->Release();
  return status;
}

absl::Status Channel::UnaryWithRetries(const MethodInfo& method, ClientContext* context,
                                       client::CallSettings settings, const RetryPolicy& policy,
                                       const google::protobuf::MessageLite& request, size_t size,
                                       google::protobuf::MessageLite* reply) {
  client::ContextAccess access(context);
  const os::Clock* const clock = options_.environment.clock;
  client::RetryState state(policy, client::ThrottleFor(policy, throttle_.get()));
  bool may_have_executed = false;
  for (;;) {
    absl::Status status = UnaryOnce(method, context, settings, request, size, reply);
    const auto info = GetErrorInfo(status);
    if (!info.has_value() || info->may_have_executed()) may_have_executed = true;
    const auto delay = state.OnEnd(status, client::PushbackOf(access.trailing_metadata(), status));
    const os::Nanos now = clock->Now();
    if (status.ok() || !delay.has_value() || !client::WorthAnotherAttempt(status) ||
        os::After(now, *delay) >= settings.deadline) {
      if (may_have_executed) rpc::MarkMayHaveExecuted(&status);
      return status;
    }
    access.SetInitialMetadata({});
    access.SetTrailingMetadata({});
    absl::Notification cancelled;
    access.SetCancelHook([&] {
      if (!cancelled.HasBeenNotified()) cancelled.Notify();
    });
    if (!access.cancelled()) cancelled.WaitForNotificationWithTimeout(*delay);
    access.SetCancelHook(nullptr);
    settings = client::NextAttempt(settings, state.previous_attempts(), clock->Now());
  }
}

absl::Status Channel::UnaryOnce(const MethodInfo& method, ClientContext* context,
                                const client::CallSettings& settings,
                                const google::protobuf::MessageLite& request, size_t size,
                                google::protobuf::MessageLite* reply) {
  const os::Clock* const clock = options_.environment.clock;
  for (;;) {
    client::ClientCall call(method, context);
    if (call.context.cancelled()) {
      return client::NoSession(absl::CancelledError(""), method, settings, settings.began,
                               *resources_);
    }
    std::shared_ptr<client::ClientSession> session = pool_->TryGet(&method);
    if (session == nullptr) {
      call.context.SetCancelHook([this] { pool_->WakeAll(); });
      auto found = pool_->Get(&method, settings.connect_deadline, settings.fail_fast,
                              [&] { return call.context.cancelled(); });
      call.context.SetCancelHook(nullptr);
      if (!found.ok()) {
        return client::NoSession(found.status(), method, settings, clock->Now(), *resources_);
      }
      session = *std::move(found);
    }
    call.request = &request;
    call.request_size = size;
    call.reply = reply;
    call.max_reply_size = options_.max_receive_message_size;
    call.began = settings.began;
    call.deadline = settings.deadline;
    call.ack_deadline = client::AckDeadline(settings, *clock);
    call.previous_attempts = settings.previous_attempts;
    call.compression = settings.compression;
    session->Run(&call);
    if (!call.resend) return std::move(call.status);
  }
}

absl::StatusOr<std::shared_ptr<Channel>> CreateChannel(absl::string_view address,
                                                       const ChannelOptions& options) {
  exec::LeaveLocksUnchecked();
  auto path = spool::ResolveAddress(address);
  if (!path.ok()) return path.status();
  if (options.log_capacity < log::kMinCapacity || options.log_capacity > log::kMaxCapacity ||
      options.log_capacity % log::kHeadSize != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ChannelOptions.log_capacity ", options.log_capacity, ": must be a multiple of ",
        log::kHeadSize, " from ", log::kMinCapacity, " to ", log::kMaxCapacity));
  }
  if (options.lease_term < absl::Milliseconds(100) || options.lease_term > absl::Hours(24)) {
    return absl::InvalidArgumentError("ChannelOptions.lease_term: must be from 100 ms to 24 h");
  }
  if (options.retry.has_value() && options.hedging.has_value()) {
    return absl::InvalidArgumentError("ChannelOptions: retry or hedging, not both");
  }
  if (options.retry.has_value()) {
    if (absl::Status s = client::CheckPolicy(*options.retry); !s.ok()) return s;
  }
  if (options.hedging.has_value()) {
    if (absl::Status s = client::CheckPolicy(*options.hedging); !s.ok()) return s;
  }
  if (absl::Status s =
          client::RetryThrottle::Check(options.retry_max_tokens, options.retry_token_ratio);
      !s.ok()) {
    return s;
  }
  if (options.max_calls_in_flight < 1) {
    return absl::InvalidArgumentError("ChannelOptions.max_calls_in_flight: must be at least 1");
  }
  if (options.max_servers < 1) {
    return absl::InvalidArgumentError("ChannelOptions.max_servers: must be at least 1");
  }
  if (options.metrics != nullptr && options.metrics->role() != metrics::Role::kClient) {
    return absl::InvalidArgumentError(
        "ChannelOptions.metrics: the registry counts for a server; make one of Role::kClient");
  }
  // Its destructor waits for sessions' threads: not on one of them.
  const auto destroy = [](const Channel* channel) {
    if (client::ClientSession::InCallback()) {
      exec::Reaper::Run([channel] { delete channel; });
    } else {
      delete channel;
    }
  };
  return std::shared_ptr<Channel>(new Channel(*std::move(path), options), destroy);
}

}  // namespace spoolrpc
