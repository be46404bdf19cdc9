// grpc.health.v1.Health over real spools: what Check and Watch say.
#include <deque>
#include <filesystem>
#include <thread>

#include "spoolrpc/services/health_service.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::services_test {
namespace {

using e2e::BothTransports;
using e2e::Eventually;
using e2e::kLong;
using e2e::TransportName;
using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class HealthTest : public BothTransports {
 protected:
  void SetUp() override {
    server_ =
        Serve(&probe_, [this](ServerBuilder* builder) { builder->RegisterService(&health_); });
    ASSERT_NE(server_, nullptr);
    stub_ = Health::NewStub(Connect());
  }
  void TearDown() override {
    server_->Shutdown();
    EXPECT_EQ(log().Count(LogLevel::kError), 0) << log().Text();
  }

  // What Check says; the call's status if that is not OK.
  absl::StatusOr<HealthCheckResponse::ServingStatus> Check(const std::string& service) {
    ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    if (absl::Status s = stub_->Check(&context, request, &response); !s.ok()) return s;
    return response.status();
  }

  std::unique_ptr<ClientReader<HealthCheckResponse>> Watch(ClientContext* context,
                                                           const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    return stub_->Watch(context, request);
  }

  // The next status; UNKNOWN, which no server says, if the stream has ended.
  static HealthCheckResponse::ServingStatus Next(ClientReader<HealthCheckResponse>* reader) {
    HealthCheckResponse response;
    return reader->Read(&response) ? response.status() : HealthCheckResponse::UNKNOWN;
  }

  e2e::ProbeService probe_;
  HealthService health_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_P(HealthTest, EveryServiceServesByDefault) {
  for (const char* const service : {"", "e2e.Probe", "grpc.health.v1.Health"}) {
    const auto status = Check(service);
    ASSERT_OK(status);
    EXPECT_EQ(*status, HealthCheckResponse::SERVING) << service;
  }
}

TEST_P(HealthTest, UnknownServiceIsNotFound) {
  const auto status = Check("e2e.Nothing").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_FALSE(IsTransportError(status)) << status;
}

TEST_P(HealthTest, StatusOfOneService) {
  health_.SetServingStatus("e2e.Probe", false);
  EXPECT_EQ(*Check("e2e.Probe"), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(*Check(""), HealthCheckResponse::SERVING);
  EXPECT_EQ(*Check("grpc.health.v1.Health"), HealthCheckResponse::SERVING);
  health_.SetServingStatus("e2e.Probe", true);
  EXPECT_EQ(*Check("e2e.Probe"), HealthCheckResponse::SERVING);
  health_.SetServingStatus("a name of its own", false);
  EXPECT_EQ(*Check("a name of its own"), HealthCheckResponse::NOT_SERVING);
}

TEST_P(HealthTest, StatusOfAll) {
  health_.SetServingStatus("another", true);
  health_.SetServingStatus(false);
  for (const char* const service : {"", "e2e.Probe", "another"}) {
    EXPECT_EQ(*Check(service), HealthCheckResponse::NOT_SERVING) << service;
  }
  health_.SetServingStatus(true);
  for (const char* const service : {"", "e2e.Probe", "another"}) {
    EXPECT_EQ(*Check(service), HealthCheckResponse::SERVING) << service;
  }
}

TEST_P(HealthTest, ShutdownOfTheServiceIsForGood) {
  health_.Shutdown();
  health_.SetServingStatus(true);
  health_.SetServingStatus("another", true);
  for (const char* const service : {"", "e2e.Probe", "another"}) {
    EXPECT_EQ(*Check(service), HealthCheckResponse::NOT_SERVING) << service;
  }
  EXPECT_EQ(Check("e2e.Nothing").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(HealthTest, WatchTellsEachChange) {
  ClientContext context;
  const auto reader = Watch(&context, "e2e.Probe");
  EXPECT_EQ(Next(reader.get()), HealthCheckResponse::SERVING);
  for (int i = 0; i < 100; ++i) {
    health_.SetServingStatus("e2e.Probe", false);
    ASSERT_EQ(Next(reader.get()), HealthCheckResponse::NOT_SERVING);
    health_.SetServingStatus(true);
    ASSERT_EQ(Next(reader.get()), HealthCheckResponse::SERVING);
  }
  // Not a change.
  health_.SetServingStatus("e2e.Probe", true);
  health_.SetServingStatus("", false);
  health_.Shutdown();
  EXPECT_EQ(Next(reader.get()), HealthCheckResponse::NOT_SERVING);
  context.TryCancel();
  EXPECT_EQ(Next(reader.get()), HealthCheckResponse::UNKNOWN);
  EXPECT_EQ(reader->Finish().code(), absl::StatusCode::kCancelled);
}

TEST_P(HealthTest, WatchOfAServiceThatIsNotYetKnown) {
  ClientContext context;
  const auto reader = Watch(&context, "later");
  EXPECT_EQ(Next(reader.get()), HealthCheckResponse::SERVICE_UNKNOWN);
  health_.SetServingStatus(false);  // not about an unknown one
  health_.SetServingStatus("later", true);
  EXPECT_EQ(Next(reader.get()), HealthCheckResponse::SERVING);
}

// Keeps what it is told.
class Reader final : public ClientReadReactor<HealthCheckResponse> {
 public:
  Reader(Health::Stub* stub, const HealthCheckRequest* request) {
    stub->async()->Watch(&context, request, this);
    StartRead(&response_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    repeats += last == response_.status();
    last = response_.status();
    StartRead(&response_);
  }
  void OnDone(const absl::Status& s) override {
    status = s;
    done.Notify();
  }

  ClientContext context;
  std::atomic<int> last{0};
  std::atomic<int> repeats{0};  // what was no change
  absl::Status status;
  absl::Notification done;

 private:
  HealthCheckResponse response_;
};

// A slow reader misses what was over before it read, never what stays.
TEST_P(HealthTest, WatchersSeeWhatStays) {
  HealthCheckRequest request;
  request.set_service("e2e.Probe");
  Reader reader(stub_.get(), &request);
  for (int round = 0; round < 20; ++round) {
    e2e::InThreads(4, [this](int thread) {
      for (int i = 0; i < 50; ++i) health_.SetServingStatus("e2e.Probe", (i + thread) % 2 == 0);
    });
    const bool serving = round % 2 == 0;
    health_.SetServingStatus("e2e.Probe", serving);
    ASSERT_TRUE(Eventually([&] {
      return reader.last ==
             (serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
    })) << round;
  }
  EXPECT_EQ(reader.repeats, 0);
  server_->Shutdown();
  ASSERT_TRUE(reader.done.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(reader.status.code(), absl::StatusCode::kUnavailable) << reader.status;
}

TEST_P(HealthTest, ThousandWatchersNeedNoThousandThreads) {
  constexpr int kWatchers = 1000;
  HealthCheckRequest request;
  request.set_service("e2e.Probe");
  std::deque<Reader> readers;
  for (int i = 0; i < kWatchers; ++i) readers.emplace_back(stub_.get(), &request);
  const auto all_are = [&](HealthCheckResponse::ServingStatus status) {
    return Eventually([&] {
      for (const Reader& reader : readers) {
        if (reader.last != status) return false;
      }
      return true;
    });
  };
  EXPECT_TRUE(all_are(HealthCheckResponse::SERVING));
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  EXPECT_LT(std::distance(begin(tasks), end(tasks)), 100);
  health_.SetServingStatus("e2e.Probe", false);
  EXPECT_TRUE(all_are(HealthCheckResponse::NOT_SERVING));
  // Half of them go, the others are told nevertheless.
  for (int i = 0; i < kWatchers; i += 2) readers[i].context.TryCancel();
  health_.SetServingStatus("e2e.Probe", true);
  for (int i = 1; i < kWatchers; i += 2) {
    EXPECT_TRUE(Eventually([&] { return readers[i].last == HealthCheckResponse::SERVING; }));
  }
  server_->Shutdown();
  for (int i = 0; i < kWatchers; ++i) {
    ASSERT_TRUE(readers[i].done.WaitForNotificationWithTimeout(kLong));
    EXPECT_EQ(readers[i].status.code(),
              i % 2 == 0 ? absl::StatusCode::kCancelled : absl::StatusCode::kUnavailable)
        << readers[i].status;
  }
}

SPOOLRPC_BOTH_TRANSPORTS(HealthTest);

}  // namespace
}  // namespace spoolrpc::services_test
