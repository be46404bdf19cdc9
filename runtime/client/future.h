// Calls whose replies are picked up later: stub->future()->Method(request).
#ifndef SPOOLRPC_CLIENT_FUTURE_H_
#define SPOOLRPC_CLIENT_FUTURE_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/client/channel_interface.h"
#include "spoolrpc/client/client_context.h"
#include "spoolrpc/rpc/method_info.h"

namespace spoolrpc {

namespace client {

// What a future and its call share, without the reply's type. Thread-safe. Whoever runs the call
// holds it until the call has ended.
class FutureState : public std::enable_shared_from_this<FutureState> {
 public:
  // An error that nobody looked at is told to the channel here.
  virtual ~FutureState();
  FutureState(const FutureState&) = delete;
  FutureState& operator=(const FutureState&) = delete;

  // Begins the call, after `setup` (may be null) has had the context. Once.
  void Start(const std::function<void(ClientContext*)>& setup);

  bool done() const ABSL_LOCKS_EXCLUDED(mu_);
  // False: the call has not ended within `timeout`.
  bool Wait(absl::Duration timeout) const ABSL_LOCKS_EXCLUDED(mu_);
  void SetObserved() ABSL_LOCKS_EXCLUDED(mu_);
  // Calls `callback` once the call has ended: at once if it has.
  void AddCallback(std::function<void()> callback) ABSL_LOCKS_EXCLUDED(mu_);
  // Nothing but the future looks at the result.
  bool exclusive() const ABSL_LOCKS_EXCLUDED(mu_);

  ClientContext* context() { return &context_; }

 protected:
  FutureState(std::shared_ptr<ChannelInterface> channel, const MethodInfo& method,
              std::unique_ptr<google::protobuf::MessageLite> request)
      : channel_(std::move(channel)), method_(method), request_(std::move(request)) {}

  virtual google::protobuf::MessageLite* reply() = 0;
  // Called once, before done().
  virtual void SetResult(const absl::Status& status) = 0;

 private:
  void OnDone(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);

  const std::shared_ptr<ChannelInterface> channel_;
  const MethodInfo& method_;
  const std::unique_ptr<google::protobuf::MessageLite> request_;
  ClientContext context_;

  mutable absl::Mutex mu_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  bool observed_ ABSL_GUARDED_BY(mu_) = false;
  bool shared_ ABSL_GUARDED_BY(mu_) = false;  // there was a callback
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  std::vector<std::function<void()>> callbacks_ ABSL_GUARDED_BY(mu_);
};

template <class R>
class TypedFutureState final : public FutureState {
 public:
  TypedFutureState(std::shared_ptr<ChannelInterface> channel, const MethodInfo& method,
                   std::unique_ptr<google::protobuf::MessageLite> request)
      : FutureState(std::move(channel), method, std::move(request)) {}

  // Once done().
  absl::StatusOr<R>& result() { return *result_; }

 private:
  google::protobuf::MessageLite* reply() override { return &reply_; }
  void SetResult(const absl::Status& status) override {
    if (status.ok()) {
      result_.emplace(std::move(reply_));
    } else {
      result_.emplace(status);
    }
  }

  R reply_;
  std::optional<absl::StatusOr<R>> result_;
};

}  // namespace client

// The reply of a call that was begun, or its error. The call ends whether or not anybody waits: a
// future that is dropped leaves its call running.
//
// One thread at a time may use a future, but for Cancel(). A future that was moved from may only be
// destroyed, assigned to, or asked whether it is valid().
template <class R>
class Future {
 public:
  // For generated code. Keeps a copy of `request`; `method` is a constant.
  template <class Request>
  static Future Start(std::shared_ptr<ChannelInterface> channel, const MethodInfo& method,
                      const Request& request, const std::function<void(ClientContext*)>& setup) {
    Future future;
    future.state_ = std::make_shared<client::TypedFutureState<R>>(
        std::move(channel), method, std::make_unique<Request>(request));
    future.state_->Start(setup);
    return future;
  }

  // Without a call: not valid().
  Future() = default;
  Future(Future&&) noexcept = default;
  Future& operator=(Future&&) noexcept = default;

  bool valid() const { return state_ != nullptr; }

  // Whether the call has ended; does not block.
  bool ready() const { return state_->done(); }
  // Blocks until the call has ended: at its deadline at the latest, if it has one.
  void Wait() const { state_->Wait(absl::InfiniteDuration()); }
  // The same for at most `timeout`. False: the call has not ended yet.
  bool WaitFor(absl::Duration timeout) const { return state_->Wait(timeout); }

  // Blocks until the call has ended. The result lives as long as the future.
  const absl::StatusOr<R>& Get() & {
    state_->SetObserved();
    Wait();
    return state_->result();
  }
  absl::StatusOr<R> Get() && {
    const absl::StatusOr<R>& result = Get();
    // A callback may be looking at it still.
    return state_->exclusive() ? std::move(state_->result()) : result;
  }
  // Blocks until the call has ended.
  absl::Status status() const {
    state_->SetObserved();
    state_->Wait(absl::InfiniteDuration());
    return state_->result().status();
  }

  // Calls `callback` once the call has ended: on a thread of the runtime, where it must not block,
  // or at once if it has ended. The future may be dropped before.
  void Then(std::function<void(const absl::StatusOr<R>&)> callback) {
    state_->SetObserved();
    // (Not a reference that keeps the state: whoever calls back holds it.)
    client::TypedFutureState<R>* const state = state_.get();
    state_->AddCallback([state, callback = std::move(callback)] { callback(state->result()); });
  }

  // See ClientContext::TryCancel(): the call ends soon, with CANCELLED unless it has a result.
  void Cancel() { state_->context()->TryCancel(); }
  // For what the server sent beside the reply, once the call has ended. Lives as long as the
  // future.
  const ClientContext& context() const { return *state_->context(); }

 private:
  std::shared_ptr<client::TypedFutureState<R>> state_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_FUTURE_H_
