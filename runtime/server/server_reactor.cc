#include "spoolrpc/server/server_reactor.h"

namespace spoolrpc {

void ServerReactor::BindCall(std::shared_ptr<AsyncServerCall> call) {
  std::shared_ptr<AsyncServerCall> bound = std::move(call);
  for (;;) {
    std::vector<std::function<void(AsyncServerCall*)>> early;
    std::optional<absl::Status> finish;
    {
      absl::MutexLock lock(&mu_);
      if (early_.empty() && !early_finish_.has_value()) {
        call_ = bound;
        return;
      }
      early.swap(early_);
      finish.swap(early_finish_);
    }
    // In order, before what is started from now on. (The reactor may be gone after a Finish(), but
    // not before this returns: OnDone() waits for the binding.)
    for (const auto& operation : early) operation(bound.get());
    if (finish.has_value()) bound->Finish(*std::move(finish));
  }
}

void ServerReactor::UnbindCall() {
  std::shared_ptr<AsyncServerCall> call;
  absl::MutexLock lock(&mu_);
  call.swap(call_);
}

void ServerReactor::Do(std::function<void(AsyncServerCall*)> operation) {
  std::shared_ptr<AsyncServerCall> call;
  {
    absl::MutexLock lock(&mu_);
    if (call_ == nullptr) {
      early_.push_back(std::move(operation));
      return;
    }
    call = call_;
  }
  operation(call.get());
}

void ServerReactor::DoFinish(absl::Status status) {
  std::shared_ptr<AsyncServerCall> call;
  {
    absl::MutexLock lock(&mu_);
    if (call_ == nullptr) {
      if (!early_finish_.has_value()) early_finish_ = std::move(status);
      return;
    }
    call = call_;
  }
  call->Finish(std::move(status));
}

}  // namespace spoolrpc
