#include "spoolrpc/client/durable_channel.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "spoolrpc/client/context_access.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/rpc/metadata.h"
#include "spoolrpc/rpc/status_codec.h"
#include "spoolrpc/spool/reason.h"

namespace spoolrpc::client {
namespace {

// docs/protocol.md, section 2: NFS 3 may miss the first change of a directory.

// The reasons that a server's runtime, or whoever cancels, may give for a reply.
bool IsReasonOfReply(int32_t reason) {
  switch (reason) {
    case ErrorInfo::SERVER_LOST:
    case ErrorInfo::SESSION_CORRUPT:
    case ErrorInfo::MESSAGE_TOO_LARGE:
    case ErrorInfo::BAD_MESSAGE:
    case ErrorInfo::NOT_STARTED:
    case ErrorInfo::DEADLINE:
    case ErrorInfo::CANCELLED:
    case ErrorInfo::PERMISSION_DENIED:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const spool::Spool>> DurableChannel::Open(bool create) {
  absl::MutexLock lock(&mu_);
  if (spool_ != nullptr) return spool_;
  auto spool = create
                   ? spool::DurableStore::OpenSpool(options_.env, options_.path, options_.transport)
                   : spool::Spool::Open(options_.env, options_.path, options_.transport);
  if (spool.ok()) spool_ = *spool;
  return spool;
}

absl::Status DurableChannel::FileError(const absl::Status& status, const Ticket& ticket) const {
  const std::string path =
      absl::StrCat(options_.path, "/", spool::kDurable, "/", ticket.ToString());
  ErrorInfo::Reason reason = spool::ReasonOf(status, ErrorInfo::FILE_SYSTEM);
  if (absl::IsNotFound(status)) reason = ErrorInfo::NO_SUCH_TICKET;
  if (absl::IsDataLoss(status)) reason = ErrorInfo::SESSION_CORRUPT;
  if (absl::IsResourceExhausted(status) && os::ErrnoOf(status) == 0) {
    reason = ErrorInfo::MESSAGE_TOO_LARGE;
  }
  return rpc::TransportErrorFrom(status, reason, /*may_have_executed=*/true, "", path);
}

absl::StatusOr<spool::DurableStore> DurableChannel::OpenFor(const Ticket& ticket) {
  if (ticket.bytes().size() != spool::kIdSize) {
    return absl::InvalidArgumentError("the ticket is of no call");
  }
  const auto spool = Open(/*create=*/false);
  if (!spool.ok()) return FileError(spool.status(), ticket);
  return spool::DurableStore(*spool);
}

absl::StatusOr<Ticket> DurableChannel::Submit(const MethodInfo& method, ClientContext* context,
                                              const google::protobuf::MessageLite& request,
                                              const std::string& reply_type) {
  ContextAccess access(context);
  if (!access.BeginUse()) {
    return absl::FailedPreconditionError(
        absl::StrCat(method.full_name, ": the ClientContext was used for another call already"));
  }
  if (access.cancelled()) {
    return rpc::TransportError(absl::StatusCode::kCancelled, ErrorInfo::CANCELLED,
                               absl::StrCat(method.full_name, ": cancelled by the caller"), false,
                               method.full_name);
  }
  size_t size = 0;
  if (absl::Status s = rpc::CheckSerializable(request, method.full_name, &size); !s.ok()) {
    return rpc::TransportErrorFrom(s, ErrorInfo::BAD_MESSAGE, false);
  }
  if (size > options_.max_send) {
    return rpc::TransportError(
        absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
        absl::StrCat("the request has ", size, " bytes, this channel sends at most ",
                     options_.max_send),
        false, method.full_name);
  }
  if (absl::Status s = rpc::CheckMetadata(access.metadata()); !s.ok()) return s;
  spool::DurableCallRecord record;
  wire::CallHeader& header = *record.mutable_header();
  header.set_method(method.full_name);
  header.set_kind(wire::METHOD_KIND_UNARY);
  rpc::EncodeMetadata(access.metadata(), header.mutable_metadata());
  if (access.timeout().has_value() && *access.timeout() != absl::InfiniteDuration()) {
    if (*access.timeout() <= absl::ZeroDuration()) {
      return rpc::TransportError(
          absl::StatusCode::kDeadlineExceeded, ErrorInfo::DEADLINE,
          absl::StrCat(method.full_name, ": the deadline passed before the call was submitted"),
          false, method.full_name);
    }
    header.set_timeout_ns(absl::ToInt64Nanoseconds(*access.timeout()));
  }
  // A context's infinite timeout lifts what method and channel say.
  if (!access.timeout().has_value()) {
    if (options_.timeout.has_value()) {
      if (*options_.timeout != absl::InfiniteDuration()) {
        record.set_handler_timeout_ns(
            std::max<int64_t>(0, absl::ToInt64Nanoseconds(*options_.timeout)));
      }
    } else if (method.timeout_ns > 0) {
      record.set_handler_timeout_ns(method.timeout_ns);
    }
  }
  record.set_idempotent(method.idempotency != Idempotency::kUnknown);
  record.set_survives_power_loss(options_.power_loss);
  record.set_request_type(request.GetTypeName());
  record.set_reply_type(reply_type);

  const auto spool = Open(/*create=*/true);
  if (!spool.ok()) {
    return rpc::TransportErrorFrom(spool.status(),
                                   spool::ReasonOf(spool.status(), ErrorInfo::SPOOL_UNUSABLE),
                                   false, method.full_name, options_.path);
  }
  const spool::DurableStore store(*spool);
  const Ticket ticket = Ticket::FromBytes(store.NewTicket());
  record.set_ticket(ticket.bytes());
  bool published = false;
  const absl::Status status =
      store.Submit(std::move(record), request.SerializePartialAsString(), &published);
  if (!status.ok()) {
    const absl::Status cause =
        published
            ? absl::Status(status.code(), absl::StrCat("the call may have been left as ticket ",
                                                       ticket.ToString(), ": ", status.message()))
            : status;
    return rpc::TransportErrorFrom(cause, ErrorInfo::FILE_SYSTEM, published, method.full_name,
                                   (*spool)->durable_call(ticket.bytes()));
  }
  store.RingServers();
  if ((*spool)->network()) {
    absl::SleepFor(absl::Nanoseconds(spool::kTouchAfter));
    (*spool)->Touch((*spool)->durable());
  }
  return ticket;
}

absl::Status DurableChannel::Collect(const Ticket& ticket, absl::string_view service,
                                     ClientContext* context, google::protobuf::MessageLite* reply,
                                     absl::Duration wait) {
  const auto store = OpenFor(ticket);
  if (!store.ok()) return store.status();
  const auto call = store->ReadCall(ticket.bytes());
  if (!call.ok()) return FileError(call.status(), ticket);
  const std::string& method = call->header().method();
  if (!absl::StartsWith(method, absl::StrCat("/", service, "/")) ||
      call->reply_type() != reply->GetTypeName()) {
    return rpc::TransportError(
        absl::StatusCode::kInvalidArgument, ErrorInfo::BAD_MESSAGE,
        absl::StrCat("ticket ", ticket.ToString(), " is of ", method, ", which returns a ",
                     call->reply_type(), "; it was collected as a ", reply->GetTypeName(), " of ",
                     service),
        true, method);
  }
  const os::Clock* const clock = options_.env.clock;
  const os::Nanos began = clock->Now();
  const os::Nanos deadline = os::After(began, wait);
  wait::PollInterval interval = options_.poll_interval;
  interval.min = std::max(interval.min, absl::Milliseconds(store->spool().network() ? 5 : 1));
  const wait::PollSchedule schedule(interval, began);
  ClientContext unused;
  ContextAccess access(context == nullptr ? &unused : context);
  if (!access.BeginUse()) {
    return absl::FailedPreconditionError(
        absl::StrCat(method, ": the ClientContext was used for another call already"));
  }
  absl::Notification cancelled;
  access.SetCancelHook([&] {
    if (!cancelled.HasBeenNotified()) cancelled.Notify();
  });
  for (;;) {
    std::string body;
    const auto record = store->Collect(ticket.bytes(), options_.max_receive, &body);
    if (record.ok()) {
      access.SetCancelHook(nullptr);
      return TakeReply(*call, *record, body, context == nullptr ? &unused : context, reply);
    }
    const os::Nanos now = clock->Now();
    if (!absl::IsUnavailable(record.status())) {
      access.SetCancelHook(nullptr);
      return FileError(record.status(), ticket);
    }
    if (now >= deadline || access.cancelled() || cancelled.HasBeenNotified()) {
      access.SetCancelHook(nullptr);
      return rpc::TransportErrorFrom(record.status(), ErrorInfo::NOT_FINISHED, true, method,
                                     store->spool().durable_call(ticket.bytes()));
    }
    const os::Nanos next = std::min(deadline, schedule.Next(now));
    cancelled.WaitForNotificationWithTimeout(absl::Nanoseconds(next - now));
  }
}

absl::Status DurableChannel::TakeReply(const spool::DurableCallRecord& call,
                                       const spool::DurableReplyRecord& record,
                                       const std::string& body, ClientContext* context,
                                       google::protobuf::MessageLite* reply) const {
  const std::string& method = call.header().method();
  const wire::ReplyHeader& header = record.header();
  ContextAccess access(context);
  access.SetInitialMetadata(rpc::DecodeMetadata(header.initial_metadata()));
  access.SetTrailingMetadata(rpc::DecodeMetadata(header.trailing_metadata()));
  access.SetPeer(std::make_shared<const std::string>(
      absl::StrCat("spool:", options_.path, "#", spool::IdName(record.server_id()), " ",
                   record.process().host(), ":", record.process().pid())));
  absl::Status status = rpc::DecodeStatus(header);
  if (!status.ok()) {
    if (!IsReasonOfReply(header.reason())) return status;
    return rpc::TransportErrorFrom(status, static_cast<ErrorInfo::Reason>(header.reason()),
                                   record.may_have_executed(), method);
  }
  if (absl::Status parsed = rpc::ParseMessage(body, method, reply); !parsed.ok()) {
    return rpc::TransportErrorFrom(parsed, ErrorInfo::BAD_MESSAGE, true, method);
  }
  return absl::OkStatus();
}

absl::Status DurableChannel::Delete(const Ticket& ticket) {
  const auto store = OpenFor(ticket);
  if (!store.ok()) return store.status();
  const absl::Status deleted = store->Delete(ticket.bytes());
  if (!deleted.ok()) return FileError(deleted, ticket);
  store->RingServers();
  return absl::OkStatus();
}

absl::Status DurableChannel::Cancel(const Ticket& ticket) {
  const auto store = OpenFor(ticket);
  if (!store.ok()) return store.status();
  const auto reply = store->Cancel(ticket.bytes());
  if (!reply.ok()) return FileError(reply.status(), ticket);
  store->RingServers();
  if (reply->header().reason() == ErrorInfo::CANCELLED) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("ticket ", ticket.ToString(), " has a reply already; collect it"));
}

}  // namespace spoolrpc::client
