// What a session does with the client's frames.
#include <string.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/server/server_session.h"

namespace spoolrpc::server {
namespace {

constexpr size_t kMaxMethodNames = 4096;
constexpr size_t kMaxMethodName = 1024;
// Of all requests of one session that have not arrived completely: so much beyond the largest one.
constexpr uint64_t kPartialSlack = link::kMaxBesideLargest;

absl::string_view ServiceOf(absl::string_view method) {
  if (!method.empty()) method.remove_prefix(1);
  return method.substr(0, method.find('/'));
}

}  // namespace

absl::Status ServerSession::OnFrame(const log::Frame& frame) {
  absl::MutexLock lock(&mu_);
  if (ended()) return absl::OkStatus();
  read_position_ = frame.position + log::AlignFrame(log::kFrameHeaderSize + frame.payload.size());
  switch (frame.type) {
    case log::FrameType::kCall:
      return OnCall(frame);
    case log::FrameType::kData:
      return OnData(frame);
    case log::FrameType::kMessage: {
      if ((frame.flags & log::kBulk) != 0) {
        return absl::DataLossError(absl::StrCat("read ", link_->read_path(), ": call ", frame.call,
                                                " has a stream's message in a bulk buffer"));
      }
      const auto it = calls_.find(frame.call);
      // (Of a call that was answered already: the client learns it later.)
      return it == calls_.end() ? absl::OkStatus() : OnStreamPart(it->second.get(), frame);
    }
    case log::FrameType::kHalfClose:
      if (const auto it = calls_.find(frame.call); it != calls_.end()) it->second->OnHalfClose();
      return absl::OkStatus();
    case log::FrameType::kCredit:
      OnCredit(frame);
      return absl::OkStatus();
    case log::FrameType::kCancel:
      OnCancel(frame.call);
      return absl::OkStatus();
    case log::FrameType::kGoodbye:
      goodbye_ = true;  // the poll that read it ends the session
      return absl::OkStatus();
    default:
      if ((frame.flags & log::kSkippable) != 0) return absl::OkStatus();
      return absl::DataLossError(
          absl::StrCat("read ", link_->read_path(), ": a frame of unexpected type ",
                       static_cast<int>(frame.type), " at position ", frame.position));
  }
}

absl::Status ServerSession::OnCall(const log::Frame& frame) {
  absl::string_view payload = frame.payload;
  wire::CallHeader header;
  if (absl::Status s = rpc::SplitPayload(&payload, &header); !s.ok()) return s;
  if (frame.call <= last_call_) {
    return absl::DataLossError(absl::StrCat("read ", link_->read_path(), ": call ", frame.call,
                                            " after call ", last_call_));
  }
  last_call_ = frame.call;
  if (const uint64_t waiting = link_->waiting(); waiting > 2 * max_unread_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "write ", link_->write_path(), ": the client does not read it, and about ", waiting,
        " bytes of replies wait; it sends call ", frame.call, " all the same"));
  }
  // Whatever becomes of the call: a reference that is read is released.
  std::shared_ptr<link::IncomingBulk> bulk;
  if ((frame.flags & log::kBulk) != 0) {
    auto taken = link_->TakeBulk(payload);
    if (!taken.ok()) return taken.status();
    bulk = *std::move(taken);
  }
  if (!header.method().empty()) {
    if (named_methods_.size() >= kMaxMethodNames || header.method().size() > kMaxMethodName ||
        named_methods_
                .emplace(header.method_id(),
                         NamedMethod{header.method(), methods_->Find(header.method())})
                .first->second.name != header.method()) {
      return absl::DataLossError(absl::StrCat("read ", link_->read_path(), ": call ", frame.call,
                                              " defines a bad method number ", header.method_id()));
    }
  }
  const auto named = named_methods_.find(header.method_id());
  if (named == named_methods_.end()) {
    return absl::DataLossError(absl::StrCat("read ", link_->read_path(), ": call ", frame.call,
                                            " uses method number ", header.method_id(),
                                            ", which was never defined"));
  }
  const std::string& name = named->second.name;
  MethodEntry* const method = named->second.entry;
  if (method == nullptr) {
    Answer(frame.call,
           absl::UnimplementedError(absl::StrCat(
               name, ": ",
               methods_->HasService(ServiceOf(name))
                   ? "the server's service has no such method; is its .proto file older?"
                   : "the server has no such service")),
           wire::NOT_STARTED_NO, 0);
    return absl::OkStatus();
  }
  if (header.kind() != static_cast<wire::MethodKind>(method->info().kind)) {
    Refuse(frame.call, *method,
           absl::UnimplementedError(absl::StrCat(
               name, ": the client's .proto file says ", wire::MethodKind_Name(header.kind()),
               " of this method, the server's ",
               wire::MethodKind_Name(static_cast<wire::MethodKind>(method->info().kind)))),
           wire::NOT_STARTED_NO, 0);
    return absl::OkStatus();
  }
  if (host_->draining()) {
    Refuse(frame.call, *method, absl::UnavailableError("the server is draining"),
           wire::NOT_STARTED_DRAINING, 0);
    return absl::OkStatus();
  }
  const os::Nanos now = env_.clock->Now();
  if (discard_pending_ && header.waited_ns() > static_cast<uint64_t>(now - server_started_)) {
    Refuse(frame.call, *method,
           absl::UnavailableError(absl::StrCat(
               name, ": issued before this server started, which discards such calls")),
           wire::NOT_STARTED_DISCARDED, 0);
    return absl::OkStatus();
  }
  const bool more = (frame.flags & log::kMore) != 0;
  const bool compressed = (frame.flags & log::kCompressed) != 0;
  const uint64_t size = bulk != nullptr ? bulk->size()
                        : more          ? header.message_size()
                                        : payload.size();
  if (size > max_request_size_) {
    Refuse(
        frame.call, *method,
        absl::ResourceExhaustedError(absl::StrCat(
            name, ": the request has ", size, " bytes, this server accepts ", max_request_size_)),
        wire::NOT_STARTED_NO, ErrorInfo::MESSAGE_TOO_LARGE);
    return absl::OkStatus();
  }
  auto call =
      std::make_shared<ServerCall>(shared_from_this(), frame.call, method, header, peer_, now);
  Open(frame.call, call);
  if (call->client_streams()) {
    if (more || !payload.empty()) {
      return absl::DataLossError(absl::StrCat("read ", link_->read_path(), ": call ", frame.call,
                                              " has a message where its method's stream"));
    }
    ready_.push_back(std::move(call));
    return absl::OkStatus();
  }
  if (bulk != nullptr) {
    AdmitBulk(std::move(call), std::move(bulk), compressed);
    return absl::OkStatus();
  }
  if (!more) {
    Admit(std::move(call), payload, compressed);
    return absl::OkStatus();
  }
  if (partial_bytes_ + payload.size() > max_request_size_ + kPartialSlack) {
    Close(call.get(), absl::StatusCode::kResourceExhausted);
    Answer(
        frame.call,
        absl::ResourceExhaustedError(absl::StrCat(
            name, ": too many large requests of this session are under way; send fewer at once")),
        wire::NOT_STARTED_QUEUE_FULL, 0);
    return absl::OkStatus();
  }
  Partial partial{std::move(call), std::make_unique<rpc::Reassembly>(max_request_size_),
                  compressed};
  partial.bytes->Add(payload);
  partial_bytes_ += payload.size();
  partial_.emplace(frame.call, std::move(partial));
  return absl::OkStatus();
}

absl::Status ServerSession::OnData(const log::Frame& frame) {
  const auto it = partial_.find(frame.call);
  if (it == partial_.end()) {
    const auto open = calls_.find(frame.call);
    if (open == calls_.end()) return absl::OkStatus();  // it was answered already
    return OnStreamPart(open->second.get(), frame);
  }
  Partial& partial = it->second;
  const bool crowded = partial_bytes_ + frame.payload.size() > max_request_size_ + kPartialSlack;
  const bool fits = partial.bytes->Add(frame.payload) && !crowded;
  partial_bytes_ += frame.payload.size();
  const bool last = (frame.flags & log::kMore) == 0;
  if (fits && !last) return absl::OkStatus();
  const Partial whole = std::move(partial);
  partial_.erase(it);
  partial_bytes_ -= whole.bytes->seen();
  if (fits) {
    Admit(whole.call, whole.bytes->bytes(), whole.compressed);
    return absl::OkStatus();
  }
  Close(whole.call.get(), absl::StatusCode::kResourceExhausted);
  if (!whole.bytes->overflowed()) {
    Answer(frame.call,
           absl::ResourceExhaustedError(absl::StrCat(
               whole.call->method()->info().full_name,
               ": too many large requests of this session are under way; send fewer at once")),
           wire::NOT_STARTED_QUEUE_FULL, 0);
    return absl::OkStatus();
  }
  Answer(frame.call,
         absl::ResourceExhaustedError(absl::StrCat(
             whole.call->method()->info().full_name, ": the request is larger than the ",
             max_request_size_, " bytes that this server accepts")),
         wire::NOT_STARTED_NO, ErrorInfo::MESSAGE_TOO_LARGE);
  return absl::OkStatus();
}

absl::Status ServerSession::OnStreamPart(ServerCall* call, const log::Frame& frame) {
  const auto wrong = [&](absl::string_view what) {
    return absl::DataLossError(
        absl::StrCat("read ", link_->read_path(), ": call ", frame.call, " ", what));
  };
  const bool begins = frame.type == log::FrameType::kMessage;
  if (!call->client_streams()) return wrong("has a stream where its method takes one message");
  if (begins == (call->partial != nullptr)) return wrong("has its messages' pieces in disorder");
  const bool compressed = begins ? (frame.flags & log::kCompressed) != 0 : call->partial_compressed;
  const bool more = (frame.flags & log::kMore) != 0;
  std::string whole;
  if (begins && !more && frame.payload.size() <= max_request_size_) {
    whole = std::string(frame.payload);
  } else {
    if (begins) {
      call->partial = std::make_unique<rpc::Reassembly>(max_request_size_);
      call->partial_compressed = compressed;
    }
    if (!call->partial->Add(frame.payload)) {
      const std::shared_ptr<ServerCall> keep = calls_.find(call->id())->second;
      Close(call, absl::StatusCode::kResourceExhausted);
      Answer(call->id(),
             absl::ResourceExhaustedError(
                 absl::StrCat(call->method()->info().full_name, ": a message is larger than the ",
                              max_request_size_, " bytes that this server accepts")),
             wire::NOT_STARTED_NO, ErrorInfo::MESSAGE_TOO_LARGE);
      call->Cancel();
      return absl::OkStatus();
    }
    if (more) return absl::OkStatus();
    whole = std::move(call->partial->bytes());
    call->partial.reset();
  }
  if (!call->OnMessage(std::move(whole), compressed)) {
    return wrong("has a message that there was no credit for");
  }
  return absl::OkStatus();
}

void ServerSession::OnCredit(const log::Frame& frame) {
  uint64_t total = 0;
  const auto it = calls_.find(frame.call);
  if (it == calls_.end() || frame.payload.size() != sizeof(total)) return;
  memcpy(&total, frame.payload.data(), sizeof(total));
  it->second->OnCredit(total);
}

void ServerSession::OnCancel(uint64_t id) {
  if (const auto it = partial_.find(id); it != partial_.end()) {
    partial_bytes_ -= it->second.bytes->seen();
    Close(it->second.call.get(), absl::StatusCode::kCancelled);
    partial_.erase(it);
    return;
  }
  if (const auto it = calls_.find(id); it != calls_.end()) it->second->Cancel();
}

void ServerSession::Admit(std::shared_ptr<ServerCall> call, absl::string_view request,
                          bool compressed) {
  if (absl::Status s = call->ParseRequest(request, compressed); !s.ok()) {
    Close(call.get(), s.code());
    Answer(call->id(), s, wire::NOT_STARTED_NO,
           absl::IsResourceExhausted(s) ? ErrorInfo::MESSAGE_TOO_LARGE : ErrorInfo::BAD_MESSAGE);
    return;
  }
  ready_.push_back(std::move(call));
}
}  // namespace spoolrpc::server
