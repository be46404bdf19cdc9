// What a server's session does with messages in bulk buffers.
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/link/same_host.h"
#include "spoolrpc/server/server_session.h"

namespace spoolrpc::server {

void ServerSession::SetUpSameHost(const ServerSessionOptions& options,
                                  link::LinkOptions* link) const {
  if (options.network) return;
  const spool::AcceptedSession& accepted = *options.accepted;
  link::SameHostSides sides;
  sides.env = env_;
  sides.keep_alive = options.keep_alive;
  sides.session_id = id_;
  sides.own_direction = log::Direction::kResponses;
  sides.own_half = accepted.paths.server_half;
  sides.peer_half = accepted.paths.client_half;
  sides.peer_uid = accepted.uid;
  sides.peer_bulk_version = accepted.record.bulk_version();
  sides.peer = client_;
  sides.file_mode = options.file_mode;
  sides.threshold = options.bulk_threshold;
  sides.max_send = options.max_reply_size;
  sides.max_receive = options.max_request_size;
  link::SetUpSameHost(sides, link);
}

MutableBytes ServerSession::AllocateReply(size_t size) {
  auto block = size <= max_reply_size_ ? link_->TakeBlock(size) : nullptr;
  if (block == nullptr) return MutableBytes(size);
  char* const data = block->data();
  return MutableBytes(data, size, std::move(block));
}

void ServerSession::OnDamage(const absl::Status& damage) {
  host_->Warn(absl::StrCat("session ", *peer_.name, ": ", damage.ToString()));
  End(wire::Goodbye::CORRUPT, std::string(damage.message()), false);
}

void ServerSession::AdmitBulk(std::shared_ptr<ServerCall> call,
                              std::shared_ptr<link::IncomingBulk> request, bool compressed) {
  call->bulk_request = {std::move(request), compressed};
  ready_.push_back(std::move(call));
}

ServerSession::Start ServerSession::ReadBulkRequest(const std::shared_ptr<ServerCall>& call) {
  // Whoever starts the call, alone: it is started by one thread.
  rpc::ArrivedMessage request = std::move(call->bulk_request);
  if (request.bulk == nullptr) return Start::kRun;
  call->bulk_request = {};
  if (const absl::Status read = request.bulk->Read(); !read.ok() && !absl::IsDataLoss(read)) {
    // This process has not got what it takes.
    request = {};
    RejectCall(call, wire::NOT_STARTED_QUEUE_FULL, read);
    return Start::kAnswered;
  }
  absl::Status damage;
  const absl::Status status = call->ParseBulkRequest(request, &damage);
  if (status.ok()) return Start::kRun;
  if (!damage.ok()) {
    OnDamage(damage);
    return Start::kDropped;
  }
  {
    absl::MutexLock lock(&mu_);
    if (!Close(call.get(), status.code()) || ended()) return Start::kDropped;
    Answer(
        call->id(), status, wire::NOT_STARTED_NO,
        absl::IsResourceExhausted(status) ? ErrorInfo::MESSAGE_TOO_LARGE : ErrorInfo::BAD_MESSAGE);
    answers_ = false;
  }
  Flush();
  return Start::kAnswered;
}

}  // namespace spoolrpc::server
