#include "spoolrpc/services/health_service.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One Watch. It keeps no queue of changes: whenever it may write, it looks at the status that is.
class HealthService::Watcher final : public ServerWriteReactor<HealthCheckResponse>,
                                     public services::OpenStream {
 public:
  Watcher(HealthService* health, std::string service)
      : health_(health), service_(std::move(service)) {
    health_->streams_.Add(this);
    Update();
  }

  void Update() override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (ended_) return;
    // In this order: a status after the drain began says so.
    const bool last = health_->streams_.draining();
    const HealthCheckResponse::ServingStatus status = health_->GetServingStatus(service_);
    // What is being written comes first, unless the client does not read.
    if (writing_ && !(last && health_->streams_.overdue())) return;
    if (!writing_ && status != response_.status()) {
      writing_ = true;
      response_.set_status(status);
      StartWrite(&response_);
    }
    if (last) {
      // That status is still sent, if the client has room for it.
      ended_ = true;
      Finish(absl::UnavailableError("the server is draining"));
    }
  }

  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      writing_ = false;
    }
    if (ok) {
      Update();
    } else {
      End();
    }
  }
  void OnCancel() override { End(); }
  void OnDone() override {
    health_->streams_.Remove(this);
    delete this;
  }

 private:
  void End() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (std::exchange(ended_, true)) return;
    Finish(absl::CancelledError("nobody watches any more"));
  }

  HealthService* const health_;
  const std::string service_;
  absl::Mutex mu_;
  // What was written last, or is being written; UNKNOWN before.
  HealthCheckResponse response_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

HealthService::HealthService() { set_observer(&streams_); }

void HealthService::SetServingStatus(const std::string& service_name, bool serving) {
  {
    absl::MutexLock lock(&mu_);
    serving_[service_name] = serving;
  }
  streams_.UpdateAll();
}

void HealthService::SetServingStatus(bool serving) {
  {
    absl::MutexLock lock(&mu_);
    for (auto& [name, value] : serving_) value = serving;
    others_serving_ = serving;
  }
  streams_.UpdateAll();
}

void HealthService::Shutdown() {
  {
    absl::MutexLock lock(&mu_);
    shut_down_ = true;
  }
  streams_.UpdateAll();
}

HealthCheckResponse::ServingStatus HealthService::GetServingStatus(
    const std::string& service_name) const {
  absl::MutexLock lock(&mu_);
  const auto it = serving_.find(service_name);
  if (it == serving_.end() && !service_name.empty() && !streams_.Serves(service_name)) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  if (shut_down_ || streams_.draining()) return HealthCheckResponse::NOT_SERVING;
  const bool serving = it == serving_.end() ? others_serving_ : it->second;
  return serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

ServerUnaryReactor* HealthService::Check(CallbackServerContext* context,
                                         const HealthCheckRequest* request,
                                         HealthCheckResponse* response) {
  ServerUnaryReactor* const reactor = context->DefaultReactor();
  const HealthCheckResponse::ServingStatus status = GetServingStatus(request->service());
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
    reactor->Finish(absl::NotFoundError(
        absl::StrCat("the server knows no health of a service \"", request->service(), "\"")));
    return reactor;
  }
  response->set_status(status);
  reactor->Finish(absl::OkStatus());
  return reactor;
}

ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(CallbackServerContext* /*context*/,
                                                              const HealthCheckRequest* request) {
  return new Watcher(this, request->service());
}

}  // namespace spoolrpc
