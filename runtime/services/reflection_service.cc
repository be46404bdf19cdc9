#include "spoolrpc/services/reflection_service.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/descriptor.h"
#include "spoolrpc/services/reflection_answer.h"

namespace spoolrpc {

using google::protobuf::DescriptorPool;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

// One stream: reads, answers, reads on.
class ReflectionService::Conversation final
    : public ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse>,
      public services::OpenStream {
 public:
  explicit Conversation(services::OpenStreams* streams) : streams_(streams) {
    StartRead(&request_);
    streams_->Add(this);
    Update();
  }

  // An answer that is on its way is still sent, if the client has room for it.
  void Update() override ABSL_LOCKS_EXCLUDED(mu_) {
    if (!streams_->draining()) return;
    absl::MutexLock lock(&mu_);
    EndLocked(absl::UnavailableError("the server is draining"));
  }

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!ok) return EndLocked(absl::OkStatus());
    if (ended_) return;
    response_ = services::AnswerReflection(request_, streams_->services(),
                                           *DescriptorPool::generated_pool());
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!ok) return EndLocked(absl::CancelledError("nobody reads the answers"));
    if (!ended_) StartRead(&request_);
  }
  void OnCancel() override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    EndLocked(absl::CancelledError("nobody reads the answers"));
  }
  void OnDone() override {
    streams_->Remove(this);
    delete this;
  }

 private:
  void EndLocked(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (std::exchange(ended_, true)) return;
    Finish(std::move(status));
  }

  services::OpenStreams* const streams_;
  ServerReflectionRequest request_;
  ServerReflectionResponse response_;
  absl::Mutex mu_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

ReflectionService::ReflectionService() { set_observer(&streams_); }

ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse>*
ReflectionService::ServerReflectionInfo(CallbackServerContext* /*context*/) {
  return new Conversation(&streams_);
}

}  // namespace spoolrpc
