#include "spoolrpc/client/client_context.h"

namespace spoolrpc {

void ClientContext::TryCancel() {
  cancelled_.store(true, std::memory_order_seq_cst);
  absl::MutexLock lock(&mu_);
  if (cancel_) cancel_();
}

const std::string& ClientContext::peer() const {
  static const std::string* const none = new std::string;
  return peer_ == nullptr ? *none : *peer_;
}

}  // namespace spoolrpc
