// The runtime's side of a ClientContext.
#ifndef SPOOLRPC_CLIENT_CONTEXT_ACCESS_H_
#define SPOOLRPC_CLIENT_CONTEXT_ACCESS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "spoolrpc/client/client_context.h"

namespace spoolrpc::client {

class ContextAccess {
 public:
  explicit ContextAccess(ClientContext* context) : context_(context) {}

  // False if the context has been used for a call already.
  bool BeginUse() { return !context_->used_.exchange(true); }

  std::optional<absl::Duration> timeout() const { return context_->timeout_; }
  std::optional<absl::Duration> ack_timeout() const { return context_->ack_timeout_; }
  std::optional<bool> wait_for_ready() const { return context_->wait_for_ready_; }
  Compression compression() const { return context_->compression_; }
  void SetReplyCompressed(bool compressed) {
    context_->reply_compressed_.store(compressed, std::memory_order_relaxed);
  }
  const Metadata& metadata() const { return context_->metadata_; }
  bool cancelled() const { return context_->cancelled_.load(std::memory_order_seq_cst); }

  void SetAcknowledged() {
    if (context_->acknowledged_.exchange(true, std::memory_order_acq_rel)) return;
    if (context_->on_acknowledged_) context_->on_acknowledged_();
  }
  const Metadata& trailing_metadata() const { return context_->trailing_metadata_; }
  bool acknowledged() const { return context_->acknowledged(); }
  void SetInitialMetadata(Metadata initial) { context_->initial_metadata_ = std::move(initial); }
  void SetTrailingMetadata(Metadata trailing) {
    context_->trailing_metadata_ = std::move(trailing);
  }
  void SetPeer(std::shared_ptr<const std::string> peer) { context_->peer_ = std::move(peer); }
  const std::shared_ptr<const std::string>& shared_peer() const { return context_->peer_; }
  void SetCancelHook(std::function<void()> hook) {
    absl::MutexLock lock(&context_->mu_);
    context_->cancel_ = std::move(hook);
  }

 private:
  ClientContext* const context_;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_CONTEXT_ACCESS_H_
