// SpoolRPC's echo client: the generated blocking stub, with default options but for sizes.

#include "absl/flags/flag.h"
#include "benchmarks/contender.h"
#include "benchmarks/echo.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(bool, raw, false, "call with the raw-bytes API instead of the generated stub");

namespace spoolrpc::benchmarks {
namespace {

constexpr char kRawEcho[] = "/spoolrpc.benchmarks.RawEchoService/Echo";

EchoCall Connect(const std::string& address, const std::string& payload) {
  ChannelOptions options;
  options.max_send_message_size = MaxMessageBytes();
  options.max_receive_message_size = MaxMessageBytes();
  auto channel = CreateChannel(address, options);
  if (!channel.ok()) Die(channel.status().ToString());
  if (absl::GetFlag(FLAGS_raw)) {
    return [stub = std::make_shared<GenericStub>(*channel), request = Bytes(payload)] {
      Bytes reply;
      ClientContext context;
      if (const absl::Status status = stub->UnaryCall(&context, kRawEcho, request, &reply);
          !status.ok()) {
        Die(status.ToString());
      }
      CheckEcho(reply.view(), request.view());
    };
  }
  return [stub = std::shared_ptr<EchoService::Stub>(EchoService::NewStub(*channel)),
          request = EchoRequest(payload)] {
    EchoMessage reply;
    ClientContext context;
    if (const absl::Status status = stub->Echo(&context, request, &reply); !status.ok()) {
      Die(status.ToString());
    }
    CheckEcho(reply.payload(), request.payload());
  };
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  return spoolrpc::benchmarks::ClientMain(argc, argv, spoolrpc::benchmarks::Connect);
}
