#include "spoolrpc/client/channel.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/client/client_call.h"
#include "spoolrpc/client/session_pool.h"
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

absl::Status NoSession(const absl::Status& status, const client::ClientCall& call, os::Nanos now,
                       const std::string& path) {
  const char* const method = call.method->full_name;
  const std::string waited = absl::FormatDuration(absl::Nanoseconds(now - call.began));
  if (absl::IsCancelled(status)) {
    return rpc::TransportError(absl::StatusCode::kCancelled, ErrorInfo::CANCELLED,
                               "the caller cancelled the call", false, method);
  }
  if (!absl::IsDeadlineExceeded(status)) {
    return rpc::TransportErrorFrom(status, spool::ReasonOf(status, ErrorInfo::SPOOL_UNUSABLE),
                                   false, method, path);
  }
  if (now >= call.deadline) {
    return rpc::TransportError(
        absl::StatusCode::kDeadlineExceeded, ErrorInfo::DEADLINE,
        absl::StrCat("the deadline passed after ", waited, ": ", status.message()), false, method,
        path);
  }
  return rpc::TransportError(
      absl::StatusCode::kUnavailable, ErrorInfo::NO_SERVER,
      absl::StrCat("no server within the ack timeout (", waited, "): ", status.message()), false,
      method, path);
}

}  // namespace

Channel::Channel(std::string path, const ChannelOptions& options)
    : path_(std::move(path)),
      options_(options),
      pool_(std::make_unique<client::SessionPool>(path_, options)) {}

Channel::~Channel() = default;

absl::Status Channel::BlockingUnaryCall(const MethodInfo& method, ClientContext* context,
                                        const google::protobuf::MessageLite& request,
                                        google::protobuf::MessageLite* reply) {
  client::ClientCall settings(method, context);
  if (!settings.context.BeginUse()) {
    return absl::FailedPreconditionError(
        absl::StrCat(method.full_name, ": the ClientContext was used for another call already"));
  }
  const os::Clock* const clock = options_.environment.clock;
  const os::Nanos began = clock->Now();
  const os::Nanos deadline = os::After(began, Choose(settings.context.timeout(), options_.timeout,
                                                     method.timeout_ns, absl::InfiniteDuration()));
  const os::Nanos ack_deadline =
      os::After(began, Choose(settings.context.ack_timeout(), options_.ack_timeout,
                              method.ack_timeout_ns, kAckTimeout));
  size_t size = 0;
  if (absl::Status s = rpc::CheckSerializable(request, method.full_name, &size); !s.ok()) {
    return rpc::TransportErrorFrom(s, ErrorInfo::BAD_MESSAGE, false);
  }
  if (size > options_.max_send_message_size) {
    return rpc::TransportError(
        absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
        absl::StrCat("the request has ", size, " bytes, this channel sends at most ",
                     options_.max_send_message_size),
        false, method.full_name);
  }
  if (!settings.context.metadata().empty()) {
    if (absl::Status s = rpc::CheckMetadata(settings.context.metadata()); !s.ok()) return s;
  }
  const absl::string_view service = ServiceOf(method.full_name);
  for (;;) {
    if (settings.context.cancelled()) {
      return NoSession(absl::CancelledError(""), settings, clock->Now(), path_);
    }
    client::ClientCall call(method, context);
    call.request = &request;
    call.request_size = size;
    call.reply = reply;
    call.max_reply_size = options_.max_receive_message_size;
    call.began = began;
    call.deadline = deadline;
    call.ack_deadline = ack_deadline;
    std::shared_ptr<client::ClientSession> session = pool_->TryGet(service);
    if (session == nullptr) {
      call.context.SetCancelHook([this] { pool_->WakeAll(); });
      auto found = pool_->Get(service, std::min(deadline, ack_deadline),
                              [&] { return call.context.cancelled(); });
      call.context.SetCancelHook(nullptr);
      if (!found.ok()) return NoSession(found.status(), call, clock->Now(), path_);
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
