// SpoolRPC's echo server, with default options but for the size of messages.

#include "benchmarks/die.h"
#include "benchmarks/echo.spoolrpc.pb.h"
#include "benchmarks/server.h"
#include "benchmarks/spool_echo.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

namespace spoolrpc::benchmarks {
namespace {

struct SpoolApi {
  using CallbackServerContext = spoolrpc::CallbackServerContext;
  using ServerUnaryReactor = spoolrpc::ServerUnaryReactor;
  template <class Reply>
  using ServerWriteReactor = spoolrpc::ServerWriteReactor<Reply>;
  using WriteOptions = spoolrpc::WriteOptions;
  static absl::Status Ok() { return absl::OkStatus(); }
};

absl::Status Answer(const EchoMessage* request, EchoMessage* reply) {
  reply->set_payload(request->payload());
  return absl::OkStatus();
}

using CallbackBase =
    EchoService::WithCallbackMethod_CallbackEcho<EchoService::WithCallbackMethod_Download<
        EchoService::WithCallbackMethod_DownloadHinted<EchoService::Service>>>;

class EchoServiceImpl final : public CallbackHandlers<SpoolApi, CallbackBase> {
  absl::Status Echo(ServerContext*, const EchoMessage* request, EchoMessage* reply) override {
    return Answer(request, reply);
  }
};

class SpoolEchoServiceImpl final
    : public SpoolEchoService::WithCallbackMethod_Hold<SpoolEchoService::Service> {
  absl::Status InlineEcho(ServerContext*, const EchoMessage* request, EchoMessage* reply) override {
    return Answer(request, reply);
  }
  absl::Status PooledEcho(ServerContext*, const EchoMessage* request, EchoMessage* reply) override {
    return Answer(request, reply);
  }
  ServerUnaryReactor* Hold(CallbackServerContext* context, const EchoMessage*,
                           EchoMessage*) override {
    return context->DefaultReactor();
  }
};

struct Running {
  EchoServiceImpl echo;
  SpoolEchoServiceImpl spool_echo;
  std::unique_ptr<Server> server;  // ends first
};

std::shared_ptr<void> Start(const std::string& address) {
  auto running = std::make_shared<Running>();
  ServerBuilder builder;
  builder.AddSpool(address);
  builder.RegisterService(&running->echo);
  builder.RegisterService(&running->spool_echo);
  builder.RegisterRawMethod("/spoolrpc.benchmarks.RawEchoService/Echo",
                            [](ServerContext*, const Bytes& request, Bytes* reply) {
                              *reply = request;
                              return absl::OkStatus();
                            });
  builder.set_max_receive_message_size(size_t{2} << 30);
  builder.set_max_send_message_size(size_t{2} << 30);
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
