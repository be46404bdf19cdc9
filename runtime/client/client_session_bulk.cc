// What a client's session does with messages in bulk buffers.
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/client/client_session.h"
#include "spoolrpc/link/same_host.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::client {

void ClientSession::SetUpSameHost(const ClientSessionOptions& options,
                                  link::LinkOptions* link) const {
  if (spool_->network()) return;
  link::SameHostSides sides;
  sides.env = env_;
  sides.keep_alive = options.keep_alive;
  sides.session_id = directory_->id();
  sides.own_direction = log::Direction::kRequests;
  sides.own_half = directory_->paths().client_half;
  sides.peer_half = directory_->paths().server_half;
  sides.peer_uid = server_.uid;
  sides.peer_bulk_version = server_.record->bulk_version();
  sides.peer = spool::ToProcessId(server_.record->process());
  sides.file_mode = spool_->file_mode();
  sides.threshold = options.bulk_threshold;
  sides.max_send = options.max_send_size;
  sides.max_receive = options.max_reply_size;
  link::SetUpSameHost(sides, link);
}

MutableBytes ClientSession::AllocateRequest(size_t size) {
  auto block = link_->TakeBlock(size);
  if (block == nullptr) return MutableBytes(size);
  char* const data = block->data();
  return MutableBytes(data, size, std::move(block));
}

absl::Status ClientSession::OnBulkReply(ClientCall* call, const log::Frame& frame) {
  // A header that is larger than a frame has come in DATA frames before.
  rpc::Reassembly own(frame.payload.size());
  rpc::Reassembly* const payload =
      call == nullptr || call->reply_bytes == nullptr ? &own : call->reply_bytes.get();
  payload->Add(frame.payload);
  if (payload->bytes().size() < link::kBulkReferenceSize) {
    // (What a call that has ended was sent before is not known.)
    if (call == nullptr) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("read ", link_->read_path(), ": a reply at position ",
                                            frame.position, " without its reference"));
  }
  const size_t head = payload->bytes().size() - link::kBulkReferenceSize;
  auto bulk = link_->TakeBulk(absl::string_view(payload->bytes()).substr(head));
  // (If nobody waits any more the buffer is released as `bulk` goes.)
  if (call == nullptr || !bulk.ok()) return bulk.status();
  SetAcknowledged(call);
  call->reply_compressed = (frame.flags & log::kCompressed) != 0;
  call->reply_bulk = *std::move(bulk);
  if (payload == &own) {
    call->reply_bytes = std::make_unique<rpc::Reassembly>(head);
    call->reply_bytes->Add(frame.payload.substr(0, head));
  } else {
    payload->bytes().resize(head);
  }
  // Verified and parsed by whoever waits for it, without the lock.
  call->parse_reply_bytes = true;
  Finish(call, absl::OkStatus(), false);
  return absl::OkStatus();
}

absl::Status ClientSession::OnBulkMessage(ClientCall* call, const log::Frame& frame) {
  auto bulk = link_->TakeBulk(frame.payload);
  if (call == nullptr || !bulk.ok()) return bulk.status();
  SetAcknowledged(call);
  if (call->observer == nullptr || call->partial != nullptr || (frame.flags & log::kMore) != 0) {
    Break(call, rpc::TransportError(absl::StatusCode::kInternal, ErrorInfo::BAD_MESSAGE,
                                    "the server's log has a message in a bulk buffer where the "
                                    "call has no place for it",
                                    true, call->method->full_name, link_->read_path()));
    return absl::OkStatus();
  }
  if ((*bulk)->size() > call->max_reply_size) {
    Break(call,
          rpc::TransportError(absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
                              absl::StrCat("a message has more than the ", call->max_reply_size,
                                           " bytes that this channel accepts"),
                              true, call->method->full_name));
    return absl::OkStatus();
  }
  OnWhole(call, frame.type, {"", *std::move(bulk), (frame.flags & log::kCompressed) != 0});
  return absl::OkStatus();
}

void ClientSession::OnDamage(const absl::Status& damage) {
  Lose(ErrorInfo::SESSION_CORRUPT, damage, {});
}

absl::Status ClientSession::ParseBulkReply(ClientCall* call) {
  const char* const method = call->method->full_name;
  uint64_t size = 0;
  absl::Status damage;
  const absl::Status status =
      rpc::ParseArrived({"", std::move(call->reply_bulk), call->reply_compressed},
                        call->max_reply_size, method, call->reply, &size, &damage);
  if (damage.ok()) {
    return status.ok() ? status : rpc::TransportErrorFrom(status, ErrorInfo::BAD_MESSAGE, true);
  }
  OnDamage(damage);
  return rpc::TransportErrorFrom(damage, ErrorInfo::SESSION_CORRUPT, true, method,
                                 link_->read_path());
}

}  // namespace spoolrpc::client
