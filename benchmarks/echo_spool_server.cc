// SpoolRPC's echo server, with default options but for sizes.

#include "benchmarks/contender.h"
#include "benchmarks/echo.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

namespace spoolrpc::benchmarks {
namespace {

class EchoServiceImpl final : public EchoService::Service {
  absl::Status Echo(ServerContext* context, const EchoMessage* request,
                    EchoMessage* reply) override {
    reply->set_payload(request->payload());
    return absl::OkStatus();
  }
};

struct Running {
  EchoServiceImpl service;
  std::unique_ptr<Server> server;  // ends first
};

std::shared_ptr<void> Start(const std::string& address) {
  auto running = std::make_shared<Running>();
  ServerBuilder builder;
  builder.AddSpool(address);
  builder.set_max_send_message_size(MaxMessageBytes());
  builder.set_max_receive_message_size(MaxMessageBytes());
  builder.RegisterService(&running->service);
  builder.RegisterRawMethod("/spoolrpc.benchmarks.RawEchoService/Echo",
                            [](ServerContext*, const Bytes& request, Bytes* reply) {
                              *reply = request;
                              return absl::OkStatus();
                            });
  // (What it says as it starts and ends would stand in the middle of the results.)
  builder.set_log_level(LogLevel::kWarning);
  auto server = builder.BuildAndStart();
  if (!server.ok()) Die(server.status().ToString());
  running->server = *std::move(server);
  return running;
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  return spoolrpc::benchmarks::ServerMain(argc, argv, spoolrpc::benchmarks::Start);
}
