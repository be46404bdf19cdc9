// A unary call that nobody waits for, sent again by a retry policy.
#ifndef SPOOLRPC_CLIENT_RETRYING_CALL_H_
#define SPOOLRPC_CLIENT_RETRYING_CALL_H_

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/client/channel.h"
#include "spoolrpc/client/stream_call.h"

namespace spoolrpc::client {

// True if a failure may be one of the server's, so that another attempt may go better: not what the
// caller asked for, not what no server can mend, and not the end of the time that the call has.
bool WorthAnotherAttempt(const absl::Status& status);

// The settings of an attempt that begins now, after `attempts` others: the ack timeout is its own,
// the deadline that of the call.
CallSettings NextAttempt(const CallSettings& settings, int attempts, os::Nanos now);

// Owned by shared_ptr; lives until the call has ended. Thread-safe.
class RetryingCall : public std::enable_shared_from_this<RetryingCall> {
 public:
  RetryingCall(std::shared_ptr<Channel> channel, const MethodInfo& method, ClientContext* context,
               const CallSettings& settings, const RetryPolicy& policy,
               const google::protobuf::MessageLite* request, google::protobuf::MessageLite* reply,
               std::function<void(absl::Status)> done);

  void Start() { Attempt(); }

 private:
  void Attempt() ABSL_LOCKS_EXCLUDED(mu_);
  void OnEnd(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  // During the pause between two attempts.
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);
  // The end of a call that was cancelled while no attempt ran.
  absl::Status Cancelled() const;
  void Finish(absl::Status status);

  const std::shared_ptr<Channel> channel_;
  const MethodInfo& method_;
  ClientContext* const context_;
  const CallSettings settings_;
  const google::protobuf::MessageLite* const request_;
  google::protobuf::MessageLite* const reply_;
  const std::function<void(absl::Status)> done_;
  RetryState state_;  // of whoever sees to the end of an attempt: one at a time
  bool may_have_executed_ = false;

  absl::Mutex mu_;
  exec::TimerQueue::Id timer_ ABSL_GUARDED_BY(mu_) = 0;
  // During a pause. (Not held by the timer: the last reference to the channel, which owns the
  // timers' thread, must not go there.)
  std::shared_ptr<RetryingCall> self_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_RETRYING_CALL_H_
