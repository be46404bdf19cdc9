#include "spoolrpc/client/generic_stub.h"

#include <utility>

#include "spoolrpc/link/raw_message.h"

namespace spoolrpc {

GenericStub::GenericStub(std::shared_ptr<ChannelInterface> channel)
    : channel_(std::move(channel)) {}

absl::Status GenericStub::UnaryCall(ClientContext* context, absl::string_view method,
                                    const Bytes& request, Bytes* reply,
                                    const RawMethodOptions& options) {
  const auto info = rpc::RawMethod(method, options);
  if (!info.ok()) return info.status();
  link::RawMessage reply_message;
  absl::Status status =
      channel_->BlockingUnaryCall(**info, context, link::RawMessage(request), &reply_message);
  *reply = std::move(*reply_message.mutable_bytes());
  return status;
}

void GenericStub::UnaryCall(ClientContext* context, absl::string_view method, const Bytes& request,
                            Bytes* reply, std::function<void(absl::Status)> done,
                            const RawMethodOptions& options) {
  const auto info = rpc::RawMethod(method, options);
  if (!info.ok()) {
    done(info.status());
    return;
  }
  struct Messages {
    link::RawMessage request;
    link::RawMessage reply;
  };
  auto messages = std::make_shared<Messages>();
  messages->request.set_bytes(request);
  Messages* const both = messages.get();
  channel_->StartUnaryCall(
      **info, context, &both->request, &both->reply,
      [messages = std::move(messages), reply, done = std::move(done)](absl::Status status) mutable {
        *reply = std::move(*messages->reply.mutable_bytes());
        messages = nullptr;
        done(std::move(status));
      });
}

MutableBytes GenericStub::Allocate(size_t size) { return channel_->AllocateRequest(size); }

}  // namespace spoolrpc
