#include "spoolrpc/client/client_context.h"

namespace spoolrpc {

void ClientContext::TryCancel() {
  cancelled_.store(true, std::memory_order_seq_cst);
  absl::MutexLock lock(&mu_);
  if (cancel_) cancel_();
}

}  // namespace spoolrpc
