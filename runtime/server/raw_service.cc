#include "spoolrpc/server/raw_service.h"

#include <utility>

#include "spoolrpc/link/raw_message.h"

namespace spoolrpc::server {
namespace {

class RawMethodHandler final : public TypedMethodHandler<link::RawMessage, link::RawMessage> {
 public:
  explicit RawMethodHandler(RawHandler handler) : handler_(std::move(handler)) {}

  absl::Status Run(ServerContext* context, const google::protobuf::MessageLite* request,
                   google::protobuf::MessageLite* reply, ServerStream*) const override {
    return handler_(context, static_cast<const link::RawMessage*>(request)->bytes(),
                    static_cast<link::RawMessage*>(reply)->mutable_bytes());
  }

 private:
  const RawHandler handler_;
};

}  // namespace

std::unique_ptr<RawService> RawService::Make(std::string name) {
  auto description = std::make_unique<Description>();
  description->name = std::move(name);
  description->info = ServiceInfo{description->name.c_str(), nullptr, 0, 0};
  return std::unique_ptr<RawService>(new RawService(std::move(description)));
}

RawService::RawService(std::unique_ptr<Description> description)
    : Service(&description->info), description_(std::move(description)) {}

void RawService::Add(const MethodInfo* method, RawHandler handler) {
  AddMethod(method, std::make_unique<RawMethodHandler>(std::move(handler)));
}

}  // namespace spoolrpc::server
