#include "spoolrpc/interceptors/metrics_interceptor.h"

#include <atomic>

namespace spoolrpc {
namespace {

using google::protobuf::MessageLite;

// What both sides do. Messages of the two directions are told by different threads.
class Counter {
 public:
  Counter(metrics::CallMetrics* metrics, const os::Clock* clock)
      : metrics_(metrics), clock_(clock), began_(clock->Now()) {
    metrics_->OnStart();
  }
  void OnSend(const MessageLite& message) { sent_ += message.ByteSizeLong(); }
  void OnReceive(const MessageLite& message) { received_ += message.ByteSizeLong(); }
  void OnFinish(const absl::Status& status) {
    metrics_->OnEnd(status.code(), clock_->Now() - began_, sent_, received_);
  }

 private:
  metrics::CallMetrics* const metrics_;
  const os::Clock* const clock_;
  const os::Nanos began_;
  std::atomic<uint64_t> sent_{0};
  std::atomic<uint64_t> received_{0};
};

class ClientSide final : public ClientInterceptor {
 public:
  ClientSide(metrics::CallMetrics* metrics, const os::Clock* clock) : counter_(metrics, clock) {}
  void OnSendMessage(const MessageLite& message) override { counter_.OnSend(message); }
  void OnReceiveMessage(MessageLite* message) override { counter_.OnReceive(*message); }
  void OnFinish(absl::Status* status, ClientContext*) override { counter_.OnFinish(*status); }

 private:
  Counter counter_;
};

class ServerSide final : public ServerInterceptor {
 public:
  ServerSide(metrics::CallMetrics* metrics, const os::Clock* clock) : counter_(metrics, clock) {}
  void OnSendMessage(const MessageLite& message) override { counter_.OnSend(message); }
  void OnReceiveMessage(MessageLite* message) override { counter_.OnReceive(*message); }
  void OnFinish(absl::Status* status, ServerContext*) override { counter_.OnFinish(*status); }

 private:
  Counter counter_;
};

}  // namespace

std::unique_ptr<ClientInterceptor> MetricsInterceptorFactory::CreateClientInterceptor(
    const MethodInfo& method) {
  return std::make_unique<ClientSide>(registry_->ForMethod(method.full_name), clock_);
}

std::unique_ptr<ServerInterceptor> MetricsInterceptorFactory::CreateServerInterceptor(
    const MethodInfo& method) {
  return std::make_unique<ServerSide>(registry_->ForMethod(method.full_name), clock_);
}

}  // namespace spoolrpc
