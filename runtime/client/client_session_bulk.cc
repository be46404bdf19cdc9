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
  if (frame.payload.size() < link::kBulkReferenceSize || (frame.flags & log::kMore) != 0) {
    return absl::DataLossError(absl::StrCat("read ", link_->read_path(), ": a reply at position ",
                                            frame.position, " without its reference"));
  }
  const size_t head = frame.payload.size() - link::kBulkReferenceSize;
  auto bulk = link_->TakeBulk(frame.payload.substr(head));
  // (If nobody waits any more the buffer is released as `bulk` goes.)
  if (call == nullptr || !bulk.ok()) return bulk.status();
  // At once: when the server has stopped, and that has been read too, its files may go.
  (*bulk)->Open().IgnoreError();  // whoever reads it meets the error
  SetAcknowledged(call);
  call->reply_compressed = (frame.flags & log::kCompressed) != 0;
  call->reply_bulk = *std::move(bulk);
  call->reply_bytes = std::make_unique<rpc::Reassembly>(head);
  call->reply_bytes->Add(frame.payload.substr(0, head));
  // Verified and parsed by whoever waits for it, without the lock.
  call->parse_reply_bytes = true;
  Finish(call, absl::OkStatus(), false);
  return absl::OkStatus();
}

absl::Status ClientSession::ParseBulkReply(ClientCall* call) {
  const char* const method = call->method->full_name;
  uint64_t size = 0;
  absl::Status damage;
  const absl::Status status =
      rpc::ParseArrived({std::move(call->reply_bulk), call->reply_compressed}, call->max_reply_size,
                        method, call->reply, &size, &damage);
  if (damage.ok()) {
    return status.ok() ? status : rpc::TransportErrorFrom(status, ErrorInfo::BAD_MESSAGE, true);
  }
  Lose(ErrorInfo::SESSION_CORRUPT, damage, {});
  return rpc::TransportErrorFrom(damage, ErrorInfo::SESSION_CORRUPT, true, method,
                                 link_->read_path());
}

}  // namespace spoolrpc::client
