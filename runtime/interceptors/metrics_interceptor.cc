#include "spoolrpc/interceptors/metrics_interceptor.h"

#include "spoolrpc/metrics/call_counter.h"

namespace spoolrpc {
namespace {

using google::protobuf::MessageLite;

// What both sides do: `Interceptor` and `Context` are the client's or the server's.
template <class Interceptor, class Context>
class Side final : public Interceptor {
 public:
  Side(metrics::CallMetrics* metrics, const os::Clock* clock)
      : counter_(metrics, clock, clock->Now()) {}
  void OnSendMessage(const MessageLite& message) override {
    counter_.OnSend(message.ByteSizeLong());
  }
  void OnReceiveMessage(MessageLite* message) override {
    counter_.OnReceive(message->ByteSizeLong());
  }
  void OnFinish(absl::Status* status, Context*) override { counter_.OnEnd(status->code()); }

 private:
  const metrics::CallCounter counter_;
};

}  // namespace

std::unique_ptr<ClientInterceptor> MetricsInterceptorFactory::CreateClientInterceptor(
    const MethodInfo& method) {
  return std::make_unique<Side<ClientInterceptor, ClientContext>>(
      registry_->ForMethod(method.full_name), clock_);
}

std::unique_ptr<ServerInterceptor> MetricsInterceptorFactory::CreateServerInterceptor(
    const MethodInfo& method) {
  return std::make_unique<Side<ServerInterceptor, ServerContext>>(
      registry_->ForMethod(method.full_name), clock_);
}

}  // namespace spoolrpc
