// SpoolRPC's echo client: the generated blocking stub, with default options but for sizes.

#include "benchmarks/contender.h"
#include "benchmarks/echo.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

namespace spoolrpc::benchmarks {
namespace {

EchoCall Connect(const std::string& address) {
  ChannelOptions options;
  options.max_send_message_size = MaxMessageBytes();
  options.max_receive_message_size = MaxMessageBytes();
  auto channel = CreateChannel(address, options);
  if (!channel.ok()) Die(channel.status().ToString());
  return [stub = std::shared_ptr<EchoService::Stub>(EchoService::NewStub(*channel))](
             const EchoMessage& request) {
    EchoMessage reply;
    ClientContext context;
    if (const absl::Status status = stub->Echo(&context, request, &reply); !status.ok()) {
      Die(status.ToString());
    }
    return reply;
  };
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  return spoolrpc::benchmarks::ClientMain(argc, argv, spoolrpc::benchmarks::Connect);
}
