// How the server runs a method whose types only generated code knows.
#ifndef SPOOLRPC_SERVER_METHOD_HANDLER_H_
#define SPOOLRPC_SERVER_METHOD_HANDLER_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"

namespace spoolrpc {

class ServerContext;

// Thread-safe: one handler serves concurrent calls.
class MethodHandler {
 public:
  virtual ~MethodHandler() = default;

  virtual std::unique_ptr<google::protobuf::MessageLite> NewRequest() const = 0;
  virtual std::unique_ptr<google::protobuf::MessageLite> NewReply() const = 0;

  // Runs the user's code. `request` and `reply` are of the types that NewRequest() and NewReply()
  // make. May block, and may throw what the user's code throws.
  virtual absl::Status Run(ServerContext* context, const google::protobuf::MessageLite* request,
                           google::protobuf::MessageLite* reply) const = 0;
};

// A unary method of the service class `ServiceType`, called through a virtual member function.
template <class ServiceType, class Request, class Reply>
class UnaryMethodHandler final : public MethodHandler {
 public:
  using Function = absl::Status (ServiceType::*)(ServerContext*, const Request*, Reply*);

  // `service` must outlive the handler (it owns it).
  UnaryMethodHandler(ServiceType* service, Function function)
      : service_(service), function_(function) {}

  std::unique_ptr<google::protobuf::MessageLite> NewRequest() const override {
    return std::make_unique<Request>();
  }
  std::unique_ptr<google::protobuf::MessageLite> NewReply() const override {
    return std::make_unique<Reply>();
  }
  absl::Status Run(ServerContext* context, const google::protobuf::MessageLite* request,
                   google::protobuf::MessageLite* reply) const override {
    return (service_->*function_)(context, static_cast<const Request*>(request),
                                  static_cast<Reply*>(reply));
  }

 private:
  ServiceType* const service_;
  const Function function_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_METHOD_HANDLER_H_
