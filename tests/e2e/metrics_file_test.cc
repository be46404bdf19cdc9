// The file that a server writes for node_exporter's textfile collector.
#include <errno.h>

#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "spoolrpc/os/file.h"
#include "tests/e2e/metrics_fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::AllOf;
using testing::Call;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr char kEcho[] = "/e2e.Probe/Echo";
constexpr absl::Duration kShort = absl::Milliseconds(10);
constexpr absl::Duration kNever = absl::Hours(24);

class MetricsFileTest : public MetricsTest {
 protected:
  std::unique_ptr<Server> ServeWithFile(absl::Duration interval,
                                        const std::function<void(ServerBuilder*)>& change = {}) {
    return Serve(&service_, [&](ServerBuilder* builder) {
      builder->set_metrics_file(path_, interval);
      if (change) change(builder);
    });
  }
  // The faults are those of the server's.
  void UseFaults(ServerBuilder* builder) {
    os::Environment environment;
    environment.calls = &calls_;
    builder->set_environment(environment);
  }
  void Echo() const {
    ClientContext context;
    Text reply;
    EXPECT_OK(Probe::NewStub(Connect())->Echo(&context, Say("x"), &reply));
  }
  std::string Read() const {
    const auto text = os::ReadWholeFile(os::SystemCalls::Real(), path_, 1 << 20);
    return text.ok() ? *text : "";
  }
  double Echoes() const {
    return Value(Read(), "spoolrpc_calls_ended_total", {{"method", kEcho}, {"code", "OK"}});
  }

  testing::FaultySystemCalls calls_;
  ProbeService service_;
  const std::string path_ = scratch() / "spoolrpc.prom";
};
SPOOLRPC_BOTH_TRANSPORTS(MetricsFileTest);

TEST_P(MetricsFileTest, IsThereFromTheBeginningAndKeptUpToDate) {
  const auto server = ServeWithFile(kShort);
  EXPECT_EQ(Echoes(), 0);
  Echo();
  EXPECT_TRUE(Eventually([&] { return Echoes() == 1; }));
  // Of a registry that the server has made itself.
  EXPECT_EQ(Value(Read(), "spoolrpc_queue_length",
                  {{"role", "server"}, {"spool", spool()}, {"queue", "default"}}),
            0);
  EXPECT_GT(Value(Read(), "spoolrpc_file_operations_total", {{"operation", "pread"}}), 0);
}

TEST_P(MetricsFileTest, HasInTheEndWhatCameLast) {
  auto server = ServeWithFile(kNever);
  Echo();
  EXPECT_EQ(Echoes(), 0);
  server->Shutdown();
  EXPECT_EQ(Echoes(), 1);
}

TEST_P(MetricsFileTest, HasTheProgramsRegistryIfThereIsOne) {
  metrics::Registry registry(metrics::Role::kServer, {{"job", "of mine"}});
  auto server =
      ServeWithFile(kNever, [&](ServerBuilder* builder) { builder->set_metrics(&registry); });
  Echo();
  server->Shutdown();
  EXPECT_EQ(Read(), registry.OpenMetricsText());
  EXPECT_EQ(Value(Read(), "spoolrpc_calls_started_total", {{"job", "of mine"}, {"method", kEcho}}),
            1);
}

TEST_P(MetricsFileTest, PathThatCannotBeWrittenIsAnErrorThatNamesIt) {
  const std::string missing = scratch() / "missing/spoolrpc.prom";
  EXPECT_THAT(Builder(&service_).set_metrics_file(missing).BuildAndStart(),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("set_metrics_file"), HasSubstr(missing))));
  // A directory.
  EXPECT_THAT(Builder(&service_).set_metrics_file(scratch().path()).BuildAndStart(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(scratch().path())));
  // No server was started.
  EXPECT_FALSE(log().Contains("serving"));
}

TEST_P(MetricsFileTest, WhatMakesNoSenseIsRefused) {
  EXPECT_THAT(Builder(&service_).set_metrics_file("").BuildAndStart(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("set_metrics_file")));
  for (const absl::Duration interval :
       {absl::ZeroDuration(), absl::Milliseconds(9), absl::Hours(25), -absl::Seconds(1)}) {
    EXPECT_THAT(Builder(&service_).set_metrics_file(path_, interval).BuildAndStart(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("interval")));
  }
  EXPECT_EQ(Read(), "");
}

TEST_P(MetricsFileTest, FullDiskIsAWarningAndNoMore) {
  const auto server = ServeWithFile(kShort, [&](ServerBuilder* builder) { UseFaults(builder); });
  const auto full = calls_.Fail({Call::kOpen, path_}, ENOSPC);
  EXPECT_TRUE(log().Await(path_));
  Echo();
  calls_.Remove(full);
  EXPECT_TRUE(Eventually([&] { return Echoes() == 1; }));
  EXPECT_TRUE(log().Await("is written again"));
}

TEST_P(MetricsFileTest, CallsDoNotWaitForIt) {
  const auto server = ServeWithFile(kShort, [&](ServerBuilder* builder) { UseFaults(builder); });
  const auto block = calls_.Block({Call::kOpen, path_});
  ASSERT_TRUE(calls_.AwaitBlocked(block));
  for (int i = 0; i < 10; ++i) Echo();
  EXPECT_EQ(Echoes(), 0);
  calls_.Release(block);
  EXPECT_TRUE(Eventually([&] { return Echoes() == 10; }));
}

}  // namespace
}  // namespace spoolrpc::e2e
