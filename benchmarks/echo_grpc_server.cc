// gRPC's echo server, in the form that its makers call the fastest: the callback API, default
// options.

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "benchmarks/contender.h"
#include "benchmarks/echo.grpc.pb.h"

namespace spoolrpc::benchmarks {
namespace {

class EchoServiceImpl final : public EchoService::CallbackService {
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const EchoMessage* request,
                                 EchoMessage* reply) override {
    reply->set_payload(request->payload());
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

struct Running {
  ~Running() { server->Shutdown(); }

  EchoServiceImpl service;
  std::unique_ptr<grpc::Server> server;
};

std::shared_ptr<void> Start(const std::string& address) {
  auto running = std::make_shared<Running>();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("unix:", address), grpc::InsecureServerCredentials());
  builder.SetMaxSendMessageSize(MaxMessageBytes());
  builder.SetMaxReceiveMessageSize(MaxMessageBytes());
  builder.RegisterService(&running->service);
  running->server = builder.BuildAndStart();
  if (running->server == nullptr) Die(absl::StrCat("gRPC cannot listen on ", address));
  return running;
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  return spoolrpc::benchmarks::ServerMain(argc, argv, spoolrpc::benchmarks::Start);
}
