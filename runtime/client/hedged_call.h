// A unary call that is sent to several servers, one after the other, until one has answered.
#ifndef SPOOLRPC_CLIENT_HEDGED_CALL_H_
#define SPOOLRPC_CLIENT_HEDGED_CALL_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/client/channel.h"
#include "spoolrpc/client/stream_call.h"

namespace spoolrpc::client {

// Owned by shared_ptr; lives until all its copies have ended. Thread-safe.
class HedgedCall : public std::enable_shared_from_this<HedgedCall> {
 public:
  HedgedCall(std::shared_ptr<Channel> channel, const MethodInfo& method, ClientContext* context,
             const CallSettings& settings, const HedgingPolicy& policy,
             const google::protobuf::MessageLite* request, google::protobuf::MessageLite* reply,
             std::function<void(absl::Status)> done);

  void Start() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Copy {
    ClientContext context;
    std::unique_ptr<google::protobuf::MessageLite> request;
    std::unique_ptr<google::protobuf::MessageLite> reply;
    std::shared_ptr<StreamCall> call;
    bool ended = false;
  };

  // Sends what is due.
  void SendDue() ABSL_LOCKS_EXCLUDED(mu_);
  std::shared_ptr<StreamCall> NewCopy() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnEnd(Copy* copy, absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the call with this status and, if it is a copy's, what came with it.
  void Finish(absl::Status status, Copy* copy) ABSL_LOCKS_EXCLUDED(mu_);
  void CancelCopies() ABSL_LOCKS_EXCLUDED(mu_);

  const std::shared_ptr<Channel> channel_;
  const MethodInfo& method_;
  ClientContext* const context_;
  const CallSettings settings_;
  google::protobuf::MessageLite* const reply_;
  const std::function<void(absl::Status)> done_;

  absl::Mutex mu_;
  HedgingState state_ ABSL_GUARDED_BY(mu_);
  // A copy may still run when the caller, whose request it is, has its answer.
  std::unique_ptr<google::protobuf::MessageLite> request_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<Copy>> copies_ ABSL_GUARDED_BY(mu_);
  absl::Status last_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  bool may_have_executed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_HEDGED_CALL_H_
