// Methods whose calls are handled several at once (option batch in spoolrpc/options.proto).
#ifndef SPOOLRPC_SERVER_BATCH_H_
#define SPOOLRPC_SERVER_BATCH_H_

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/server/method_handler.h"

namespace spoolrpc {

class ServerContext;

// The calls of a batch, as their handler sees them; lives as long as the handler runs. For the
// handler's thread.
class BatchContext {
 public:
  virtual ~BatchContext() = default;

  // How many calls; at least 1.
  virtual int size() const = 0;
  // That of the `i`th call. Belongs to the batch. A call that was cancelled stays in its batch.
  virtual ServerContext* context(int i) = 0;
  // How the `i`th call ends, unless the handler returns an error: that is the end of all of them.
  // Where it is not set: with OK, or with what the handler throws.
  virtual void SetStatus(int i, absl::Status status) = 0;
};

// A batch of one call.
class SingleBatch final : public BatchContext {
 public:
  explicit SingleBatch(ServerContext* context) : context_(context) {}

  int size() const override { return 1; }
  ServerContext* context(int) override { return context_; }
  void SetStatus(int, absl::Status status) override { status_ = std::move(status); }

  const absl::Status& status() const { return status_; }

 private:
  ServerContext* const context_;
  absl::Status status_;
};

// A method of the service class `ServiceType` over spans of requests and replies, called through a
// virtual member function. `service` must outlive the handler (it owns it).
template <class ServiceType, class Request, class Reply>
class BatchMethodHandler final : public TypedMethodHandler<Request, Reply> {
 public:
  using Function = absl::Status (ServiceType::*)(BatchContext*, absl::Span<const Request* const>,
                                                 absl::Span<Reply* const>);

  BatchMethodHandler(ServiceType* service, Function function)
      : service_(service), function_(function) {}

  // A batch of this call alone.
  absl::Status Run(ServerContext* context, const google::protobuf::MessageLite* request,
                   google::protobuf::MessageLite* reply, ServerStream*) const override {
    SingleBatch batch(context);
    absl::Status status = RunBatch(&batch, {&request, 1}, {&reply, 1});
    return status.ok() ? batch.status() : status;
  }

  bool takes_batches() const override { return true; }
  absl::Status RunBatch(BatchContext* batch,
                        absl::Span<const google::protobuf::MessageLite* const> requests,
                        absl::Span<google::protobuf::MessageLite* const> replies) const override {
    std::vector<const Request*> typed_requests;
    for (const google::protobuf::MessageLite* request : requests) {
      typed_requests.push_back(static_cast<const Request*>(request));
    }
    std::vector<Reply*> typed_replies;
    for (google::protobuf::MessageLite* reply : replies) {
      typed_replies.push_back(static_cast<Reply*>(reply));
    }
    return (service_->*function_)(batch, typed_requests, typed_replies);
  }

 private:
  ServiceType* const service_;
  const Function function_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_BATCH_H_
