#include "spoolrpc/interceptors/logging_interceptor.h"

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace spoolrpc {
namespace {

using google::protobuf::MessageLite;

class Line {
 public:
  Line(const char* method, const std::function<void(const std::string&)>* write,
       const os::Clock* clock)
      : method_(method), write_(write), clock_(clock), began_(clock->Now()) {}
  void OnSend(const MessageLite& message) {
    ++sent_;
    sent_bytes_ += message.ByteSizeLong();
  }
  void OnReceive(const MessageLite& message) {
    ++received_;
    received_bytes_ += message.ByteSizeLong();
  }
  void OnFinish(const absl::Status& status, absl::string_view peer) {
    (*write_)(absl::StrCat(method_, " ", peer.empty() ? "-" : peer, " sent ", sent_.load(), " (",
                           sent_bytes_.load(), " bytes) received ", received_.load(), " (",
                           received_bytes_.load(), " bytes) in ",
                           absl::FormatDuration(absl::Nanoseconds(clock_->Now() - began_)), ": ",
                           status.ok() ? "OK" : status.ToString()));
  }

 private:
  const char* const method_;
  const std::function<void(const std::string&)>* const write_;
  const os::Clock* const clock_;
  const os::Nanos began_;
  std::atomic<uint64_t> sent_{0};
  std::atomic<uint64_t> sent_bytes_{0};
  std::atomic<uint64_t> received_{0};
  std::atomic<uint64_t> received_bytes_{0};
};

class ClientSide final : public ClientInterceptor {
 public:
  explicit ClientSide(const char* method, const std::function<void(const std::string&)>* write,
                      const os::Clock* clock)
      : line_(method, write, clock) {}
  void OnSendMessage(const MessageLite& message) override { line_.OnSend(message); }
  void OnReceiveMessage(MessageLite* message) override { line_.OnReceive(*message); }
  void OnFinish(absl::Status* status, ClientContext* context) override {
    line_.OnFinish(*status, context->peer());
  }

 private:
  Line line_;
};

class ServerSide final : public ServerInterceptor {
 public:
  ServerSide(const char* method, const std::function<void(const std::string&)>* write,
             const os::Clock* clock)
      : line_(method, write, clock) {}
  void OnSendMessage(const MessageLite& message) override { line_.OnSend(message); }
  void OnReceiveMessage(MessageLite* message) override { line_.OnReceive(*message); }
  void OnFinish(absl::Status* status, ServerContext* context) override {
    line_.OnFinish(*status, context->peer());
  }

 private:
  Line line_;
};

}  // namespace

std::unique_ptr<ClientInterceptor> LoggingInterceptorFactory::CreateClientInterceptor(
    const MethodInfo& method) {
  return std::make_unique<ClientSide>(method.full_name, &write_, clock_);
}

std::unique_ptr<ServerInterceptor> LoggingInterceptorFactory::CreateServerInterceptor(
    const MethodInfo& method) {
  return std::make_unique<ServerSide>(method.full_name, &write_, clock_);
}

}  // namespace spoolrpc
