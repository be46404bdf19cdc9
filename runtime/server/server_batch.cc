#include "spoolrpc/server/server_batch.h"

#include <utility>

#include "spoolrpc/server/handler_guard.h"
#include "spoolrpc/server/server_session.h"

namespace spoolrpc::server {

ServerBatch::ServerBatch(std::vector<std::shared_ptr<ServerCall>> calls)
    : calls_(std::move(calls)), statuses_(calls_.size()) {}

void ServerBatch::Run() {
  std::vector<const google::protobuf::MessageLite*> requests;
  std::vector<google::protobuf::MessageLite*> replies;
  for (const auto& call : calls_) {
    requests.push_back(call->request());
    replies.push_back(call->NewReply());
  }
  const MethodEntry& method = *calls_.front()->method();
  bool threw = false;
  const absl::Status status = RunGuarded(
      method.info().full_name, [&] { return method.handler().RunBatch(this, requests, replies); },
      &threw);
  if (threw) calls_.front()->session()->host()->OnHandlerFailed(status);
  for (size_t i = 0; i < calls_.size(); ++i) {
    const bool own = statuses_[i].has_value() && (status.ok() || threw);
    calls_[i]->EndHandler(own ? *std::move(statuses_[i]) : status);
  }
}

}  // namespace spoolrpc::server
