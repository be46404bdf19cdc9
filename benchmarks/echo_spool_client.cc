// SpoolRPC's echo client: the generated blocking stub, with default options.

#include "benchmarks/contender.h"
#include "benchmarks/echo.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

namespace spoolrpc::benchmarks {
namespace {

EchoCall Connect(const std::string& address) {
  auto channel = CreateChannel(address);
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
