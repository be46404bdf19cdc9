#include "spoolrpc/client/channel.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/client/client_call.h"
#include "spoolrpc/client/session_pool.h"
#include "spoolrpc/client/stream_call.h"
#include "spoolrpc/exec/timer_queue.h"
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

// "package.Service" of "/package.Service/Method".
absl::string_view ServiceOf(absl::string_view method) {
  if (!method.empty()) method.remove_prefix(1);
  return method.substr(0, method.find('/'));
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
      options_(options),
      timers_(std::make_unique<exec::TimerQueue>(options.environment.clock)),
      pool_(std::make_unique<client::SessionPool>(path_, options)),
      resources_(std::make_unique<client::CallResources>(client::CallResources{
          pool_.get(), timers_.get(), options.environment.clock, path_,
          options.max_send_message_size, options.max_receive_message_size})) {}

Channel::~Channel() = default;

client::CallSettings Channel::SettingsOf(const MethodInfo& method, ClientContext* context) const {
  const client::ContextAccess access(context);
  client::CallSettings settings;
  settings.began = options_.environment.clock->Now();
  settings.deadline = os::After(
      settings.began,
      Choose(access.timeout(), options_.timeout, method.timeout_ns, absl::InfiniteDuration()));
  settings.ack_deadline = os::After(
      settings.began,
      Choose(access.ack_timeout(), options_.ack_timeout, method.ack_timeout_ns, kAckTimeout));
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

std::shared_ptr<client::StreamCall> Channel::MakeCall(const MethodInfo& method,
                                                      ClientContext* context,
                                                      const google::protobuf::MessageLite* request,
                                                      google::protobuf::MessageLite* reply) const {
  size_t size = 0;
  absl::Status checked = CheckCall(method, context, request, &size);
  auto call = std::make_shared<client::StreamCall>(resources_.get(), method, context,
                                                   SettingsOf(method, context), request, reply);
  if (!checked.ok()) call->FailWith(std::move(checked));
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
  auto call = MakeCall(method, context, request, reply);
  call->BindCallback(std::move(done), shared_from_this());
  call->StartCall();
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
  size_t size = 0;
  if (absl::Status s = CheckCall(method, context, &request, &size); !s.ok()) return s;
  const os::Clock* const clock = options_.environment.clock;
  const client::CallSettings settings = SettingsOf(method, context);
  const absl::string_view service = ServiceOf(method.full_name);
  for (;;) {
    client::ClientCall call(method, context);
    if (call.context.cancelled()) {
      return client::NoSession(absl::CancelledError(""), method, settings, settings.began,
                               *resources_);
    }
    call.request = &request;
    call.request_size = size;
    call.reply = reply;
    call.max_reply_size = options_.max_receive_message_size;
    call.began = settings.began;
    call.deadline = settings.deadline;
    call.ack_deadline = settings.ack_deadline;
    call.compression = settings.compression;
    std::shared_ptr<client::ClientSession> session = pool_->TryGet(service);
    if (session == nullptr) {
      call.context.SetCancelHook([this] { pool_->WakeAll(); });
      auto found = pool_->Get(service, std::min(settings.deadline, settings.ack_deadline),
                              [&] { return call.context.cancelled(); });
      call.context.SetCancelHook(nullptr);
      if (!found.ok()) {
        return client::NoSession(found.status(), method, settings, clock->Now(), *resources_);
      }
      session = *std::move(found);
    }
    session->Run(&call);
    if (!call.resend) return std::move(call.status);
  }
}

absl::StatusOr<std::shared_ptr<Channel>> CreateChannel(absl::string_view address,
                                                       const ChannelOptions& options) {
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
  if (options.max_servers < 1) {
    return absl::InvalidArgumentError("ChannelOptions.max_servers: must be at least 1");
  }
  return std::make_shared<Channel>(*std::move(path), options);
}

}  // namespace spoolrpc
