#include "spoolrpc/client/future.h"

namespace spoolrpc::client {

FutureState::~FutureState() {
  absl::Status unobserved;
  {
    absl::MutexLock lock(&mu_);
    if (done_ && !observed_) unobserved = status_;
  }
  if (!unobserved.ok()) channel_->OnUnobservedError(method_, unobserved);
}

void FutureState::Start(const std::function<void(ClientContext*)>& setup) {
  if (setup) setup(&context_);
  channel_->StartUnaryCall(
      method_, &context_, request_.get(), reply(),
      [self = shared_from_this()](absl::Status status) { self->OnDone(std::move(status)); });
}

bool FutureState::done() const {
  absl::MutexLock lock(&mu_);
  return done_;
}

bool FutureState::Wait(absl::Duration timeout) const {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&done_), timeout);
}

void FutureState::SetObserved() {
  absl::MutexLock lock(&mu_);
  observed_ = true;
}

void FutureState::AddCallback(std::function<void()> callback) {
  {
    absl::MutexLock lock(&mu_);
    // A result that is there already is seen by this thread only, which also owns the future.
    if (!done_) {
      shared_ = true;
      callbacks_.push_back(std::move(callback));
      return;
    }
  }
  callback();
}

bool FutureState::exclusive() const {
  absl::MutexLock lock(&mu_);
  return !shared_;
}

void FutureState::OnDone(absl::Status status) {
  SetResult(status);
  std::vector<std::function<void()>> callbacks;
  {
    absl::MutexLock lock(&mu_);
    status_ = std::move(status);
    done_ = true;
    callbacks.swap(callbacks_);
  }
  for (const std::function<void()>& callback : callbacks) callback();
}

}  // namespace spoolrpc::client
