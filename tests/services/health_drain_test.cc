// grpc.health.v1.Health when servers come and go.
#include <thread>

#include "spoolrpc/services/health_service.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::services_test {
namespace {

using e2e::BothTransports;
using e2e::Eventually;
using e2e::kLong;
using e2e::Probe;
using e2e::Say;
using e2e::Text;
using e2e::TransportName;
using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class HealthDrainTest : public BothTransports {
 protected:
  absl::StatusOr<std::unique_ptr<Server>> Start(ServerBuilder builder) {
    builder.RegisterService(&health_);
    return builder.BuildAndStart();
  }
  std::unique_ptr<Server> Start() {
    auto server = Start(Builder(&probe_));
    EXPECT_OK(server);
    return server.ok() ? *std::move(server) : nullptr;
  }
  std::unique_ptr<ClientReader<HealthCheckResponse>> Watch(Health::Stub* stub,
                                                           ClientContext* context) {
    HealthCheckRequest request;
    request.set_service("e2e.Probe");
    return stub->Watch(context, request);
  }

  e2e::ProbeService probe_;
  HealthService health_;
};

TEST_P(HealthDrainTest, WatchEndsWhenTheServerDrains) {
  const auto server = Start();
  const auto stub = Health::NewStub(Connect());
  ClientContext context;
  const auto reader = Watch(stub.get(), &context);
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server->Shutdown();  // without a deadline: nothing has to be cancelled
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(reader->Read(&response));
  const absl::Status end = reader->Finish();
  EXPECT_EQ(end.code(), absl::StatusCode::kUnavailable) << end;
  EXPECT_FALSE(IsTransportError(end)) << end;
}

TEST_P(HealthDrainTest, WatchThatWasToldAlreadyJustEnds) {
  const auto server = Start();
  const auto stub = Health::NewStub(Connect());
  health_.SetServingStatus(false);
  ClientContext context;
  const auto reader = Watch(stub.get(), &context);
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  server->Shutdown();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().code(), absl::StatusCode::kUnavailable);
}

// While a handler still runs, the watchers know already.
TEST_P(HealthDrainTest, WatchersKnowBeforeTheLastHandlerHasEnded) {
  e2e::Gate gate;
  probe_.handler = [&gate](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Start();
  const auto channel = Connect();
  std::thread call([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(Probe::NewStub(channel)->Run(&context, Say(""), &reply));
  });
  EXPECT_TRUE(gate.AwaitArrived(1));
  const auto stub = Health::NewStub(channel);
  ClientContext context;
  const auto reader = Watch(stub.get(), &context);
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  std::thread shutdown([&] { server->Shutdown(); });
  EXPECT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().code(), absl::StatusCode::kUnavailable);
  gate.Open();
  shutdown.join();
  call.join();
}

TEST_P(HealthDrainTest, OneServerAtATime) {
  const auto server = Start();
  const auto second = Start(Builder(&probe_));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << second.status();
  EXPECT_EQ(health_.GetServingStatus("e2e.Probe"), HealthCheckResponse::SERVING);
  server->Shutdown();
}

TEST_P(HealthDrainTest, TheNextServerServesAgain) {
  EXPECT_EQ(health_.GetServingStatus(""), HealthCheckResponse::SERVING);
  EXPECT_EQ(health_.GetServingStatus("e2e.Probe"), HealthCheckResponse::SERVICE_UNKNOWN);
  health_.SetServingStatus("mine", false);
  for (int i = 0; i < 3; ++i) {
    const auto server = Start();
    EXPECT_EQ(health_.GetServingStatus(""), HealthCheckResponse::SERVING);
    EXPECT_EQ(health_.GetServingStatus("e2e.Probe"), HealthCheckResponse::SERVING);
    EXPECT_EQ(health_.GetServingStatus("mine"), HealthCheckResponse::NOT_SERVING);
    server->Shutdown();
    EXPECT_EQ(health_.GetServingStatus(""), HealthCheckResponse::NOT_SERVING);
    EXPECT_EQ(health_.GetServingStatus("e2e.Probe"), HealthCheckResponse::NOT_SERVING);
  }
}

TEST_P(HealthDrainTest, SetBeforeTheServerStarts) {
  health_.SetServingStatus(false);
  const auto server = Start();
  EXPECT_EQ(health_.GetServingStatus("e2e.Probe"), HealthCheckResponse::NOT_SERVING);
  health_.SetServingStatus(true);
  EXPECT_EQ(health_.GetServingStatus("e2e.Probe"), HealthCheckResponse::SERVING);
  server->Shutdown();
}

TEST_P(HealthDrainTest, AServerThatDidNotStart) {
  ServerBuilder builder = Builder(&probe_);
  builder.AddSpool("/proc/no spool can be made here");
  EXPECT_FALSE(Start(builder).ok());
  EXPECT_EQ(health_.GetServingStatus("e2e.Probe"), HealthCheckResponse::NOT_SERVING);
  const auto server = Start();
  EXPECT_EQ(health_.GetServingStatus("e2e.Probe"), HealthCheckResponse::SERVING);
  server->Shutdown();
}

// A client that never reads takes no more than its window; that does not hold up the server's end.
TEST_P(HealthDrainTest, WatcherThatDoesNotRead) {
  const auto server = Start();
  const auto stub = Health::NewStub(Connect());
  ClientContext context;
  const auto stuck = Watch(stub.get(), &context);
  ClientContext other;
  const auto reader = Watch(stub.get(), &other);
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  // Each of the two is told of most of these: more than a window of them.
  for (int i = 0; i < 5000; ++i) {
    health_.SetServingStatus("e2e.Probe", i % 2 == 1);
    ASSERT_TRUE(reader->Read(&response));
    ASSERT_EQ(response.status() == HealthCheckResponse::SERVING, i % 2 == 1);
  }
  absl::Notification down;
  std::thread shutdown([&] {
    server->Shutdown();
    down.Notify();
  });
  EXPECT_TRUE(down.WaitForNotificationWithTimeout(kLong));
  if (!down.HasBeenNotified()) context.TryCancel();
  shutdown.join();
  int changes = 0;
  while (stuck->Read(&response)) ++changes;
  EXPECT_GT(changes, 1000);
  EXPECT_LT(changes, 5000);
  EXPECT_EQ(stuck->Finish().code(), absl::StatusCode::kUnavailable);
}

SPOOLRPC_BOTH_TRANSPORTS(HealthDrainTest);

}  // namespace
}  // namespace spoolrpc::services_test
