// What a session does with the server's frames.
#include <string.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/client/client_session.h"
#include "spoolrpc/compress/message_codec.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/rpc/status_codec.h"

namespace spoolrpc::client {

absl::Status ClientSession::OnFrame(const log::Frame& frame) {
  if (frame.type == log::FrameType::kGoodbye) return OnGoodbye(frame);
  absl::MutexLock lock(&mu_);
  const auto it = calls_.find(frame.call);
  ClientCall* const call = it == calls_.end() ? nullptr : it->second;
  switch (frame.type) {
    case log::FrameType::kAck:
      if (call != nullptr) SetAcknowledged(call);
      return absl::OkStatus();
    case log::FrameType::kData:
      if (call == nullptr) return absl::OkStatus();
      if (call->partial != nullptr) {
        OnPart(call, frame);
        return absl::OkStatus();
      }
      if (call->reply_bytes == nullptr) {
        // Some room for the header beside the message.
        call->reply_bytes = std::make_unique<rpc::Reassembly>(call->max_reply_size + 65536);
      }
      call->reply_bytes->Add(frame.payload);
      SetAcknowledged(call);
      return absl::OkStatus();
    case log::FrameType::kMessage:
      if ((frame.flags & log::kBulk) != 0) {
        return absl::DataLossError(absl::StrCat("read ", link_->read_path(), ": call ", frame.call,
                                                " has a stream's message in a bulk buffer"));
      }
      [[fallthrough]];
    case log::FrameType::kInitial:
      if (call != nullptr) OnPart(call, frame);
      return absl::OkStatus();
    case log::FrameType::kCredit:
      if (call != nullptr) OnCredit(call, frame);
      return absl::OkStatus();
    case log::FrameType::kReply:
      if ((frame.flags & log::kBulk) != 0) return OnBulkReply(call, frame);
      if (call != nullptr) OnReply(call, frame);
      return absl::OkStatus();
    default:
      if ((frame.flags & log::kSkippable) != 0) return absl::OkStatus();
      return absl::DataLossError(
          absl::StrCat("read ", link_->read_path(), ": a frame of unknown type ",
                       static_cast<int>(frame.type), " at position ", frame.position));
  }
}

void ClientSession::SetAcknowledged(ClientCall* call) {
  if (call->acknowledged.load(std::memory_order_relaxed)) return;
  call->acknowledged.store(true, std::memory_order_release);
  call->context.SetAcknowledged();
}

void ClientSession::OnPart(ClientCall* call, const log::Frame& frame) {
  SetAcknowledged(call);
  if (call->observer == nullptr ||
      (frame.type != log::FrameType::kData && call->partial != nullptr)) {
    Break(call, rpc::TransportError(absl::StatusCode::kInternal, ErrorInfo::BAD_MESSAGE,
                                    absl::StrCat("the server's log has a frame of type ",
                                                 static_cast<int>(frame.type),
                                                 " where the call has no place for it"),
                                    true, call->method->full_name, link_->read_path()));
    return;
  }
  const bool more = (frame.flags & log::kMore) != 0;
  const bool begins = frame.type != log::FrameType::kData;
  const bool compressed = (frame.flags & log::kCompressed) != 0;
  if (begins && !more && frame.payload.size() <= call->max_reply_size) {
    OnWhole(call, frame.type, compressed, std::string(frame.payload));
    return;
  }
  if (begins) {
    call->partial = std::make_unique<rpc::Reassembly>(call->max_reply_size);
    call->partial_type = frame.type;
    call->partial_compressed = compressed;
  }
  if (!call->partial->Add(frame.payload)) {
    Break(call,
          rpc::TransportError(absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
                              absl::StrCat("a message has more than the ", call->max_reply_size,
                                           " bytes that this channel accepts"),
                              true, call->method->full_name));
    return;
  }
  if (more) return;
  const std::unique_ptr<rpc::Reassembly> whole = std::move(call->partial);
  OnWhole(call, call->partial_type, call->partial_compressed, std::move(whole->bytes()));
}

void ClientSession::OnWhole(ClientCall* call, log::FrameType type, bool compressed,
                            std::string bytes) {
  if (type == log::FrameType::kMessage) {
    if (!call->observer->OnMessage(std::move(bytes), compressed)) {
      Break(call, rpc::TransportError(absl::StatusCode::kInternal, ErrorInfo::BAD_MESSAGE,
                                      "the server sends more than it was given credit for", true,
                                      call->method->full_name, link_->read_path()));
      return;
    }
  } else {
    wire::InitialMetadata initial;
    if (!initial.ParseFromString(bytes)) {
      Break(call, rpc::TransportError(absl::StatusCode::kInternal, ErrorInfo::BAD_MESSAGE,
                                      "the server's initial metadata does not parse", true,
                                      call->method->full_name, link_->read_path()));
      return;
    }
    call->observer->OnInitialMetadata(rpc::DecodeMetadata(initial.metadata()));
  }
  call->version.fetch_add(1, std::memory_order_acq_rel);
  WakeSleepers(call);
}

void ClientSession::OnCredit(ClientCall* call, const log::Frame& frame) {
  uint64_t total = 0;
  if (call->observer == nullptr || frame.payload.size() != sizeof(total)) return;
  memcpy(&total, frame.payload.data(), sizeof(total));
  call->observer->OnCredit(total);
  call->version.fetch_add(1, std::memory_order_acq_rel);
  WakeSleepers(call);
}

void ClientSession::OnReply(ClientCall* call, const log::Frame& frame) {
  if ((frame.flags & log::kAcked) != 0) SetAcknowledged(call);
  call->reply_compressed = (frame.flags & log::kCompressed) != 0;
  if (call->reply_bytes == nullptr) {
    TakeReply(call, frame.payload);
    Finish(call, std::move(call->status), call->resend);
    return;
  }
  call->reply_bytes->Add(frame.payload);
  if (call->reply_bytes->overflowed()) {
    Finish(call,
           rpc::TransportError(absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
                               absl::StrCat("the reply has ", call->reply_bytes->seen(),
                                            " bytes, this channel accepts ", call->max_reply_size),
                               true, call->method->full_name),
           false);
    return;
  }
  call->parse_reply_bytes = true;
  Finish(call, absl::OkStatus(), false);
}

void ClientSession::TakeReply(ClientCall* call, absl::string_view payload) {
  const char* const method = call->method->full_name;
  wire::ReplyHeader header;
  if (absl::Status s = rpc::SplitPayload(&payload, &header); !s.ok()) {
    call->status =
        rpc::TransportErrorFrom(s, ErrorInfo::BAD_MESSAGE, true, method, link_->read_path());
    return;
  }
  if (header.initial_metadata_size() > 0) {
    call->context.SetInitialMetadata(rpc::DecodeMetadata(header.initial_metadata()));
  }
  if (header.trailing_metadata_size() > 0) {
    call->context.SetTrailingMetadata(rpc::DecodeMetadata(header.trailing_metadata()));
  }
  if (header.not_started() == wire::NOT_STARTED_DRAINING) {
    draining_.store(true, std::memory_order_release);
    call->resend = true;
    return;
  }
  absl::Status status = rpc::DecodeStatus(header);
  if (!status.ok()) {
    if (header.not_started() == wire::NOT_STARTED_QUEUE_FULL) {
      status = rpc::TransportErrorFrom(status, ErrorInfo::NOT_STARTED, false, method);
    } else if (header.not_started() == wire::NOT_STARTED_DISCARDED) {
      status = rpc::TransportErrorFrom(status, ErrorInfo::DISCARDED, false, method);
    } else if (header.reason() == ErrorInfo::MESSAGE_TOO_LARGE ||
               header.reason() == ErrorInfo::BAD_MESSAGE) {
      status =
          rpc::TransportErrorFrom(status, static_cast<ErrorInfo::Reason>(header.reason()), true);
    }
    call->status = std::move(status);
    return;
  }
  const uint64_t size = call->reply_bulk == nullptr ? payload.size() : call->reply_bulk->size();
  if (size > call->max_reply_size) {
    call->status = rpc::TransportError(
        absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
        absl::StrCat("the reply has ", size, " bytes, this channel accepts ", call->max_reply_size),
        true, method);
    return;
  }
  if (call->reply == nullptr) {  // the replies were a stream
    call->status = absl::OkStatus();
    return;
  }
  call->context.SetReplyCompressed(call->reply_compressed);
  if (call->reply_bulk != nullptr) {
    call->status = ParseBulkReply(call);
    return;
  }
  const absl::Status parsed = ParseReplyMessage(call, payload);
  if (!parsed.ok()) {
    call->status = rpc::TransportErrorFrom(parsed, ErrorInfo::BAD_MESSAGE, true);
  } else {
    call->status = absl::OkStatus();
  }
}

absl::Status ClientSession::ParseReplyMessage(ClientCall* call, absl::string_view bytes) {
  const char* const method = call->method->full_name;
  if (!call->reply_compressed) return rpc::ParseMessage(bytes, method, call->reply);
  const auto whole = compress::Decompress(bytes, call->max_reply_size);
  if (!whole.ok()) {
    return absl::Status(whole.status().code(),
                        absl::StrCat(method, ": the reply: ", whole.status().message()));
  }
  return rpc::ParseMessage(*whole, method, call->reply);
}

absl::Status ClientSession::OnGoodbye(const log::Frame& frame) {
  wire::Goodbye goodbye;
  if (!goodbye.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()))) {
    return absl::DataLossError(
        absl::StrCat("read ", link_->read_path(), ": a GOODBYE that does not parse"));
  }
  const bool corrupt =
      goodbye.cause() == wire::Goodbye::CORRUPT || goodbye.cause() == wire::Goodbye::PROTOCOL_ERROR;
  absl::Status why =
      corrupt
          ? absl::DataLossError(absl::StrCat("the server ended the session: ", goodbye.detail()))
          : absl::UnavailableError(absl::StrCat(
                "the server ended the session (", wire::Goodbye::Cause_Name(goodbye.cause()),
                goodbye.detail().empty() ? ")" : absl::StrCat("): ", goodbye.detail())));
  Knowledge knowledge;
  if (goodbye.has_read_position()) knowledge.read_position = goodbye.read_position();
  Lose(corrupt ? ErrorInfo::SESSION_CORRUPT : ErrorInfo::SERVER_LOST, why, knowledge);
  return absl::OkStatus();
}
}  // namespace spoolrpc::client
