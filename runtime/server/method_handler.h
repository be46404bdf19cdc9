// How the server runs a method whose types only generated code knows.
#ifndef SPOOLRPC_SERVER_METHOD_HANDLER_H_
#define SPOOLRPC_SERVER_METHOD_HANDLER_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/server/server_reactor.h"
#include "spoolrpc/server/server_stream.h"

namespace spoolrpc {

class BatchContext;
class ServerContext;

// Thread-safe: one handler serves concurrent calls.
class MethodHandler {
 public:
  virtual ~MethodHandler() = default;

  virtual std::unique_ptr<google::protobuf::MessageLite> NewRequest() const = 0;
  virtual std::unique_ptr<google::protobuf::MessageLite> NewReply() const = 0;

  // Runs the user's code to its end. `request` and `reply` are of the types that NewRequest() and
  // NewReply() make; `stream` is null for unary methods; whose requests stream ignore `request`,
  // whose replies stream ignore `reply`. May block, and may throw what the user's code throws.
  virtual absl::Status Run(ServerContext* context, const google::protobuf::MessageLite* request,
                           google::protobuf::MessageLite* reply, ServerStream* stream) const = 0;
  // A handler of reactors has Start() instead of Run().
  virtual bool uses_reactor() const { return false; }
  // The reactor that drives the call from here on; must not block. Null: the method is not
  // implemented. `request` and `reply` live until the reactor's OnDone().
  virtual ServerReactor* Start(CallbackServerContext* /*context*/,
                               const google::protobuf::MessageLite* /*request*/,
                               google::protobuf::MessageLite* /*reply*/) const {
    return nullptr;
  }

  // A handler of batches can do RunBatch() too, which is Run() for as many calls as `batch` has:
  // one request and one reply each. An error is that of all of them; after OK each ends with the
  // status that `batch` was told.
  virtual bool takes_batches() const { return false; }
  virtual absl::Status RunBatch(
      BatchContext* /*batch*/, absl::Span<const google::protobuf::MessageLite* const> /*requests*/,
      absl::Span<google::protobuf::MessageLite* const> /*replies*/) const {
    return absl::InternalError("a handler of single calls was run with a batch");
  }
};

// The types of a method's messages.
template <class Request, class Reply>
class TypedMethodHandler : public MethodHandler {
 public:
  std::unique_ptr<google::protobuf::MessageLite> NewRequest() const override {
    return std::make_unique<Request>();
  }
  std::unique_ptr<google::protobuf::MessageLite> NewReply() const override {
    return std::make_unique<Reply>();
  }
};

// Methods of the service class `ServiceType`, called through a virtual member function. `service`
// must outlive the handler (it owns it).

template <class ServiceType, class Request, class Reply>
class UnaryMethodHandler final : public TypedMethodHandler<Request, Reply> {
 public:
  using Function = absl::Status (ServiceType::*)(ServerContext*, const Request*, Reply*);

  UnaryMethodHandler(ServiceType* service, Function function)
      : service_(service), function_(function) {}

  absl::Status Run(ServerContext* context, const google::protobuf::MessageLite* request,
                   google::protobuf::MessageLite* reply, ServerStream*) const override {
    return (service_->*function_)(context, static_cast<const Request*>(request),
                                  static_cast<Reply*>(reply));
  }

 private:
  ServiceType* const service_;
  const Function function_;
};

template <class ServiceType, class Request, class Reply>
class ClientStreamingMethodHandler final : public TypedMethodHandler<Request, Reply> {
 public:
  using Function = absl::Status (ServiceType::*)(ServerContext*, ServerReader<Request>*, Reply*);

  ClientStreamingMethodHandler(ServiceType* service, Function function)
      : service_(service), function_(function) {}

  absl::Status Run(ServerContext* context, const google::protobuf::MessageLite*,
                   google::protobuf::MessageLite* reply, ServerStream* stream) const override {
    ServerReader<Request> reader(stream);
    return (service_->*function_)(context, &reader, static_cast<Reply*>(reply));
  }

 private:
  ServiceType* const service_;
  const Function function_;
};

template <class ServiceType, class Request, class Reply>
class ServerStreamingMethodHandler final : public TypedMethodHandler<Request, Reply> {
 public:
  using Function = absl::Status (ServiceType::*)(ServerContext*, const Request*,
                                                 ServerWriter<Reply>*);

  ServerStreamingMethodHandler(ServiceType* service, Function function)
      : service_(service), function_(function) {}

  absl::Status Run(ServerContext* context, const google::protobuf::MessageLite* request,
                   google::protobuf::MessageLite*, ServerStream* stream) const override {
    ServerWriter<Reply> writer(stream);
    return (service_->*function_)(context, static_cast<const Request*>(request), &writer);
  }

 private:
  ServiceType* const service_;
  const Function function_;
};

template <class ServiceType, class Request, class Reply>
class BidiStreamingMethodHandler final : public TypedMethodHandler<Request, Reply> {
 public:
  using Function = absl::Status (ServiceType::*)(ServerContext*,
                                                 ServerReaderWriter<Reply, Request>*);

  BidiStreamingMethodHandler(ServiceType* service, Function function)
      : service_(service), function_(function) {}

  absl::Status Run(ServerContext* context, const google::protobuf::MessageLite*,
                   google::protobuf::MessageLite*, ServerStream* stream) const override {
    ServerReaderWriter<Reply, Request> reader_writer(stream);
    return (service_->*function_)(context, &reader_writer);
  }

 private:
  ServiceType* const service_;
  const Function function_;
};

// Methods that make a reactor. `start` is called with the context, the request (of a method whose
// requests stream: an empty one) and the reply (likewise).
template <class Request, class Reply>
class ReactorMethodHandler final : public TypedMethodHandler<Request, Reply> {
 public:
  using StartFn = std::function<ServerReactor*(CallbackServerContext*, const Request*, Reply*)>;

  explicit ReactorMethodHandler(StartFn start) : start_(std::move(start)) {}

  absl::Status Run(ServerContext*, const google::protobuf::MessageLite*,
                   google::protobuf::MessageLite*, ServerStream*) const override {
    return absl::InternalError("a handler of reactors was run as one that blocks");
  }
  bool uses_reactor() const override { return true; }
  ServerReactor* Start(CallbackServerContext* context, const google::protobuf::MessageLite* request,
                       google::protobuf::MessageLite* reply) const override {
    return start_(context, static_cast<const Request*>(request), static_cast<Reply*>(reply));
  }

 private:
  const StartFn start_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_METHOD_HANDLER_H_
