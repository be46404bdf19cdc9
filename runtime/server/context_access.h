// The runtime's side of a ServerContext that no ServerCall of this process stands behind.
#ifndef SPOOLRPC_SERVER_CONTEXT_ACCESS_H_
#define SPOOLRPC_SERVER_CONTEXT_ACCESS_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "spoolrpc/server/server_context.h"

namespace spoolrpc::server {

class ContextAccess {
 public:
  explicit ContextAccess(ServerContext* context) : context_(context) {}

  void set_method(const std::string& method) {
    context_->method_ = std::make_shared<const std::string>(method);
  }
  void set_peer(const std::string& peer) {
    context_->peer_ = std::make_shared<const std::string>(peer);
  }
  void set_peer_identity(const PeerIdentity& peer) { context_->peer_identity_ = peer; }
  void set_client_metadata(Metadata metadata) { context_->client_metadata_ = std::move(metadata); }
  void set_deadline(absl::Time deadline) { context_->deadline_ = deadline; }
  void set_cancel(std::function<void()> cancel) { context_->cancel_ = std::move(cancel); }
  void set_request_compressed(bool compressed) {
    context_->request_compressed_.store(compressed, std::memory_order_relaxed);
  }

  const Metadata& initial_metadata() const { return context_->initial_metadata_; }
  const Metadata& trailing_metadata() const { return context_->trailing_metadata_; }
  void clear_initial_metadata() { context_->initial_metadata_.clear(); }
  Compression compression() const { return context_->compression_; }
  std::vector<std::function<void()>> TakeWorkAfterReply() {
    return std::exchange(context_->after_reply_, {});
  }

 private:
  ServerContext* const context_;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_CONTEXT_ACCESS_H_
