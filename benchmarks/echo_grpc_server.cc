// gRPC's echo server, in the form that its makers call the fastest: the callback API, default
// options but for the size of messages.

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "benchmarks/die.h"
#include "benchmarks/echo.grpc.pb.h"
#include "benchmarks/server.h"

namespace spoolrpc::benchmarks {
namespace {

struct GrpcApi {
  using CallbackServerContext = grpc::CallbackServerContext;
  using ServerUnaryReactor = grpc::ServerUnaryReactor;
  template <class Reply>
  using ServerWriteReactor = grpc::ServerWriteReactor<Reply>;
  using WriteOptions = grpc::WriteOptions;
  static grpc::Status Ok() { return grpc::Status::OK; }
};

class EchoServiceImpl final : public CallbackHandlers<GrpcApi, EchoService::CallbackService> {
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const EchoMessage* request,
                                 EchoMessage* reply) override {
    return CallbackEcho(context, request, reply);
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
  builder.RegisterService(&running->service);
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  running->server = builder.BuildAndStart();
  if (running->server == nullptr) Die(absl::StrCat("gRPC cannot listen on ", address));
  return running;
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  return spoolrpc::benchmarks::ServerMain(argc, argv, spoolrpc::benchmarks::Start);
}
