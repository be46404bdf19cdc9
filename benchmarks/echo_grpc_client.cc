// gRPC's echo client: the generated blocking stub over a Unix socket, with default options but for sizes.

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "benchmarks/contender.h"
#include "benchmarks/echo.grpc.pb.h"

namespace spoolrpc::benchmarks {
namespace {

EchoCall Connect(const std::string& address, const std::string& payload) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(MaxMessageBytes());
  arguments.SetMaxReceiveMessageSize(MaxMessageBytes());
  const auto channel = grpc::CreateCustomChannel(
      absl::StrCat("unix:", address), grpc::InsecureChannelCredentials(), arguments);
  return [stub = std::shared_ptr<EchoService::Stub>(EchoService::NewStub(channel)),
          request = EchoRequest(payload)] {
    EchoMessage reply;
    grpc::ClientContext context;
    if (const grpc::Status status = stub->Echo(&context, request, &reply); !status.ok()) {
      Die(absl::StrCat("gRPC: ", status.error_message()));
    }
    CheckEcho(reply.payload(), request.payload());
  };
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  return spoolrpc::benchmarks::ClientMain(argc, argv, spoolrpc::benchmarks::Connect);
}
