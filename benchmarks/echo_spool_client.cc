// SpoolRPC's client, with default options.

#include <signal.h>

#include <vector>

#include "benchmarks/client.h"
#include "benchmarks/echo.spoolrpc.pb.h"
#include "benchmarks/spool_echo.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

namespace spoolrpc::benchmarks {
namespace {

std::string MeasureKill(const ClientSettings& settings);
std::string MeasureRaw(const ClientSettings& settings);

struct SpoolApi {
  using Service = EchoService;
  using Status = absl::Status;
  using ClientContext = spoolrpc::ClientContext;
  template <class Message>
  using ReadReactor = ClientReadReactor<Message>;

  static std::shared_ptr<Channel> Connect(const std::string& address, bool large) {
    ChannelOptions options;
    if (large) {
      options.max_send_message_size = size_t{2} << 30;
      options.max_receive_message_size = size_t{2} << 30;
    }
    auto channel = CreateChannel(address, options);
    DieUnlessOk<SpoolApi>(channel.status());
    return *std::move(channel);
  }
  static std::string Describe(const absl::Status& status) { return status.ToString(); }
  static EchoCall OtherMethod(const std::shared_ptr<Channel>& channel, const std::string& method) {
    using Stub = SpoolEchoService::Stub;
    std::shared_ptr<Stub> stub = SpoolEchoService::NewStub(channel);
    if (method == "InlineEcho") return MakeCall<SpoolApi>(stub, &Stub::InlineEcho);
    if (method == "PooledEcho") return MakeCall<SpoolApi>(stub, &Stub::PooledEcho);
    return nullptr;
  }
  static std::string OtherMode(const ClientSettings& settings) {
    if (settings.mode == "kill") return MeasureKill(settings);
    return settings.mode == "large_raw" ? MeasureRaw(settings) : "";
  }
};

// A call of Hold, which waits for the death of its server.
struct HeldCall {
  ClientContext context;
  EchoMessage reply;
  absl::Status status;
  absl::Notification ended;
};

// Mode `kill`: the time from the server's death by SIGKILL to the last of --in_flight callers'
// being told, half of whom block and half of whom do not.
std::string MeasureKill(const ClientSettings& settings) {
  if (settings.server == 0) Die("mode kill needs --server_pid");
  const auto stub = SpoolEchoService::NewStub(SpoolApi::Connect(settings.address, false));
  const EchoMessage request = MakeMessage(settings.payload_bytes);
  std::vector<HeldCall> calls(settings.in_flight);
  std::vector<std::thread> threads;
  for (int i = 0; i < settings.in_flight; ++i) {
    HeldCall* const call = &calls[i];
    if (i % 2 == 0) {
      threads.emplace_back([&, call] {
        call->status = stub->Hold(&call->context, request, &call->reply);
        call->ended.Notify();
      });
    } else {
      stub->async()->Hold(&call->context, &request, &call->reply, [call](absl::Status status) {
        call->status = std::move(status);
        call->ended.Notify();
      });
    }
  }
  for (const HeldCall& call : calls) {
    while (!call.context.acknowledged()) absl::SleepFor(absl::Milliseconds(1));
  }
  const absl::Time begin = absl::Now();
  if (kill(settings.server, SIGKILL) != 0) Die("the server cannot be killed");
  for (HeldCall& call : calls) {
    call.ended.WaitForNotification();
    if (call.status.code() != absl::StatusCode::kUnavailable) {
      Die(absl::StrCat("a killed server's call ended with: ", call.status.ToString()));
    }
  }
  const absl::Duration took = absl::Now() - begin;
  for (std::thread& thread : threads) thread.join();
  return absl::StrFormat("told_ms=%.3f", absl::ToDoubleMilliseconds(took));
}

// Mode `large_raw`: as `large`, but with the raw-bytes API. The request lies in memory of the
// program's, as that of a generated stub does.
std::string MeasureRaw(const ClientSettings& settings) {
  GenericStub stub(SpoolApi::Connect(settings.address, /*large=*/true));
  const Bytes request(std::string(settings.payload_bytes, 'x'));
  const auto call = [&](bool compare) {
    Bytes reply;
    ClientContext context;
    DieUnlessOk<SpoolApi>(
        stub.UnaryCall(&context, "/spoolrpc.benchmarks.RawEchoService/Echo", request, &reply));
    if (reply.size() != request.size()) Die("the echo has another size");
    if (compare && reply.view() != request.view()) Die("the echo differs from the request");
  };
  for (int i = 0; i <= settings.warmup; ++i) call(/*compare=*/true);  // the first connects
  LatencyPlan plan;
  plan.calls = settings.calls;
  plan.pause = settings.pause;
  plan.server = settings.server;
  return Format(MeasureLatency(plan, [&call] { call(/*compare=*/false); }));
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  return spoolrpc::benchmarks::ClientMain<spoolrpc::benchmarks::SpoolApi>(argc, argv);
}
