// gRPC's client over a Unix socket, with default options.

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "benchmarks/client.h"
#include "benchmarks/echo.grpc.pb.h"

namespace spoolrpc::benchmarks {
namespace {

struct GrpcApi {
  using Service = EchoService;
  using Status = grpc::Status;
  using ClientContext = grpc::ClientContext;
  template <class Message>
  using ReadReactor = grpc::ClientReadReactor<Message>;

  static std::shared_ptr<grpc::Channel> Connect(const std::string& address, bool large) {
    grpc::ChannelArguments arguments;
    // Channels of one process and the same arguments would share a connection.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    if (large) {
      arguments.SetMaxReceiveMessageSize(-1);
      arguments.SetMaxSendMessageSize(-1);
    }
    return grpc::CreateCustomChannel(absl::StrCat("unix:", address),
                                     grpc::InsecureChannelCredentials(), arguments);
  }
  static std::string Describe(const grpc::Status& status) {
    return absl::StrCat("gRPC: ", status.error_message());
  }
  static EchoCall OtherMethod(const std::shared_ptr<grpc::Channel>&, const std::string&) {
    return nullptr;
  }
  static std::string OtherMode(const ClientSettings&) { return ""; }
};

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  return spoolrpc::benchmarks::ClientMain<spoolrpc::benchmarks::GrpcApi>(argc, argv);
}
