// The text, read back, and the file that it is written to.
#include "spoolrpc/metrics/open_metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/os/file.h"
#include "tests/metrics/open_metrics_parser.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::metrics {
namespace {

using absl::StatusCode;
using testing::Call;
using testing::FaultySystemCalls;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::ParsedFamily;
using testing::ParseOpenMetrics;
using testing::SampleValue;
using testing::StatusIs;

using Parsed = std::map<std::string, ParsedFamily>;

// A call of this length, in nanoseconds.
void AddCall(CallMetrics* metrics, os::Nanos latency, StatusCode code = StatusCode::kOk) {
  metrics->OnStart();
  metrics->OnSend(1000);
  metrics->OnReceive(1);
  metrics->OnEnd(code, latency);
}

TEST(OpenMetricsTest, NothingCounted) {
  EXPECT_EQ(Registry(Role::kClient).OpenMetricsText(), "# EOF\n");
  EXPECT_EQ(OpenMetricsText({}), "# EOF\n");
}

TEST(OpenMetricsTest, AMethodThatWasNotCalledYetHasItsCounters) {
  Registry registry(Role::kServer);
  registry.ForMethod("p.S/M");
  ASSERT_OK_AND_ASSIGN(const Parsed parsed, ParseOpenMetrics(registry.OpenMetricsText()));
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_calls_started_total", {{"method", "p.S/M"}}), 0);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_calls_ended_total", {{"code", "OK"}}), 0);
  EXPECT_EQ(parsed.count("spoolrpc_call_latency_seconds"), 0);
  EXPECT_EQ(parsed.count("spoolrpc_batch_size"), 0);
}

TEST(OpenMetricsTest, EverythingThatIsCountedIsInTheText) {
  const std::map<std::string, std::string> method = {{"method", "p.S/M"}, {"role", "client"}};
  const auto with = [&](const std::string& name, const std::string& value) {
    std::map<std::string, std::string> labels = method;
    labels[name] = value;
    return labels;
  };
  Registry registry(Role::kClient);
  registry.CountFileOperations(os::SystemCalls::Real())->Unlink("/nonexistent/name");
  CallMetrics* const metrics = registry.ForMethod("p.S/M");
  for (int i = 0; i < 98; ++i) AddCall(metrics, 1 << 20);
  AddCall(metrics, (1 << 20) + 1, StatusCode::kUnavailable);
  AddCall(metrics, 3'000'000'000, StatusCode::kUnavailable);
  metrics->OnStart();
  metrics->OnBatch(3);
  metrics->OnBatch(4);
  AddCall(registry.ForMethod("p.S/Other"), 5);
  registry.QueueLength("default")->Set(7);

  const std::string text = registry.OpenMetricsText();
  ASSERT_OK_AND_ASSIGN(const Parsed parsed, ParseOpenMetrics(text));
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_calls_started_total", method), 101);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_calls_ended_total", with("code", "OK")), 98);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_calls_ended_total", with("code", "UNAVAILABLE")), 2);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_calls_in_flight", method), 1);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_message_sent_bytes_total", method), 100000);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_message_received_bytes_total", method), 100);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_queue_length", {{"queue", "default"}}), 7);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_file_operations_total", {{"operation", "unlink"}}), 1);

  const std::string latency = "spoolrpc_call_latency_seconds";
  EXPECT_EQ(parsed.at(latency).unit, "seconds");
  EXPECT_EQ(SampleValue(parsed, latency + "_count", method), 100);
  EXPECT_DOUBLE_EQ(SampleValue(parsed, latency + "_sum", method),
                   (99.0 * (1 << 20) + 1 + 3e9) / 1e9);
  // The bound belongs to its bucket.
  EXPECT_EQ(SampleValue(parsed, latency + "_bucket", with("le", "0.000524288")), 0);
  EXPECT_EQ(SampleValue(parsed, latency + "_bucket", with("le", "0.001048576")), 98);
  EXPECT_EQ(SampleValue(parsed, latency + "_bucket", with("le", "0.002097152")), 99);
  EXPECT_EQ(SampleValue(parsed, latency + "_bucket", with("le", "4.294967296")), 100);
  EXPECT_EQ(SampleValue(parsed, latency + "_bucket", with("le", "+Inf")), 100);
  const std::string quantiles = "spoolrpc_call_latency_quantiles_seconds";
  EXPECT_NEAR(SampleValue(parsed, quantiles, with("quantile", "0.5")), 0.001048576, 0.00004);
  EXPECT_NEAR(SampleValue(parsed, quantiles, with("quantile", "0.999")), 3, 0.1);
  EXPECT_DOUBLE_EQ(SampleValue(parsed, "spoolrpc_call_latency_min_seconds", method), 0.001048576);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_call_latency_max_seconds", method), 3);

  EXPECT_EQ(SampleValue(parsed, "spoolrpc_batch_size_bucket", with("le", "2.0")), 0);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_batch_size_bucket", with("le", "4.0")), 2);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_batch_size_sum", method), 7);
  for (const auto& [name, family] : parsed) {
    EXPECT_EQ(name.rfind("spoolrpc_", 0), 0) << name;
    EXPECT_NE(family.help, "") << name;
    for (const auto& sample : family.samples) EXPECT_EQ(sample.labels.at("role"), "client") << name;
  }
  // For a look at it by another reader.
  if (const char* const directory = getenv("TEST_UNDECLARED_OUTPUTS_DIR")) {
    EXPECT_OK(registry.WriteTextfile(absl::StrCat(directory, "/metrics.prom")));
  }
}

TEST(OpenMetricsTest, SeveralRegistriesAreOneText) {
  Registry server(Role::kServer);
  Registry client(Role::kClient, {{"spool", "/a"}});
  Registry other(Role::kClient, {{"spool", "/b"}});
  for (Registry* const registry : {&server, &client, &other}) {
    AddCall(registry->ForMethod("p.S/M"), 1000);
    AddCall(registry->ForMethod("p.S/N"), 1000);
  }
  ASSERT_OK_AND_ASSIGN(const Parsed parsed,
                       ParseOpenMetrics(OpenMetricsText({&server, &client, &other})));
  EXPECT_EQ(parsed.at("spoolrpc_calls_started").samples.size(), 6);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_calls_started_total",
                        {{"spool", "/b"}, {"role", "client"}, {"method", "p.S/N"}}),
            1);
}

TEST(OpenMetricsTest, LabelsMayHoldAnything) {
  const std::string value = "a\\b\"c\nd,e=\"f\"} 5 # \xc3\xa4";
  Registry registry(Role::kClient, {{"spool", value}});
  registry.ForMethod(value)->OnStart();
  registry.QueueLength(value);
  ASSERT_OK_AND_ASSIGN(const Parsed parsed, ParseOpenMetrics(registry.OpenMetricsText()));
  EXPECT_EQ(
      SampleValue(parsed, "spoolrpc_calls_started_total", {{"spool", value}, {"method", value}}),
      1);
  EXPECT_EQ(SampleValue(parsed, "spoolrpc_queue_length", {{"queue", value}}), 0);
}

TEST(OpenMetricsTest, LargeNumbersAreWhole) {
  Registry registry(Role::kServer);
  registry.ForMethod("m")->OnSend(uint64_t{1} << 62);
  registry.ForMethod("m")->OnEnd(StatusCode::kOk, os::kNever);
  const std::string text = registry.OpenMetricsText();
  EXPECT_THAT(text, HasSubstr("} 4611686018427387904\n"));
  EXPECT_OK(ParseOpenMetrics(text));
}

class TextfileTest : public ::testing::Test {
 protected:
  std::vector<std::string> Names() {
    return os::ListDirectory(os::SystemCalls::Real(), scratch_.path()).value();
  }
  std::string Read() { return os::ReadWholeFile(os::SystemCalls::Real(), path_, 1 << 20).value(); }

  const testing::ScratchDirectory scratch_;
  const std::string path_ = scratch_ / "spoolrpc.prom";
  Registry registry_{Role::kServer};
};

TEST_F(TextfileTest, IsReplacedAsAWhole) {
  ASSERT_OK(registry_.WriteTextfile(path_));
  EXPECT_EQ(Read(), "# EOF\n");
  registry_.ForMethod("m")->OnStart();
  FaultySystemCalls calls;
  std::string meanwhile;
  std::vector<std::string> names;
  calls.Run({Call::kRename}, [&] {
    meanwhile = Read();
    names = Names();
  });
  ASSERT_OK(registry_.WriteTextfile(path_, &calls));
  EXPECT_EQ(meanwhile, "# EOF\n");
  ASSERT_EQ(names.size(), 2);
  for (const std::string& name : names) {
    // The collector takes every name in .prom.
    EXPECT_EQ(name == "spoolrpc.prom", name.substr(name.size() - 5) == ".prom") << name;
  }
  EXPECT_EQ(Read(), registry_.OpenMetricsText());
  EXPECT_EQ(Names(), std::vector<std::string>({"spoolrpc.prom"}));
}

TEST_F(TextfileTest, OthersMayReadIt) {
  const mode_t before = umask(0077);
  EXPECT_OK(registry_.WriteTextfile(path_));
  umask(before);
  ASSERT_OK_AND_ASSIGN(const os::FileInfo info, os::StatPath(os::SystemCalls::Real(), path_));
  EXPECT_EQ(info.mode, 0644);
}

TEST_F(TextfileTest, AFailureLeavesWhatWasThereAndNoRest) {
  ASSERT_OK(registry_.WriteTextfile(path_));
  registry_.ForMethod("m")->OnStart();
  for (const Call call : {Call::kOpen, Call::kPwrite, Call::kClose, Call::kRename}) {
    FaultySystemCalls calls;
    const auto fault = calls.Fail({call, "", 0, 1}, ENOSPC);
    EXPECT_THAT(registry_.WriteTextfile(path_, &calls),
                StatusIs(StatusCode::kResourceExhausted, HasSubstr(path_)))
        << static_cast<int>(call);
    EXPECT_EQ(calls.Met(fault), 1);
    EXPECT_EQ(Read(), "# EOF\n");
    EXPECT_EQ(Names().size(), 1);
  }
  EXPECT_THAT(registry_.WriteTextfile(scratch_ / "missing/x.prom"), HasCode(StatusCode::kNotFound));
}

TEST(OpenMetricsParserTest, RefusesWhatIsWrong) {
  const std::string head = "# TYPE a counter\n# HELP a Some.\n";
  const std::string histogram = "# TYPE h histogram\n";
  EXPECT_OK(ParseOpenMetrics(head + "a_total{x=\"y\"} 1\n# EOF\n"));
  for (const std::string& wrong : {
           std::string(),
           head,
           head + "# EOF",
           std::string("a_total 1\n# EOF\n"),
           head + "a 1\n# EOF\n",
           head + "a_total -1\n# EOF\n",
           head + "a_total 1 \n# EOF\n",
           head + "a_total 1 1234567\n# EOF\n",
           head + "a_total  1\n# EOF\n",
           head + "a_total 0x1\n# EOF\n",
           head + "a_total{x=y} 1\n# EOF\n",
           head + "a_total{x=\"y} 1\n# EOF\n",
           head + "a_total{x=\"\\y\"} 1\n# EOF\n",
           head + "a_total{x=\"y\",x=\"z\"} 1\n# EOF\n",
           head + "a_total{1x=\"y\"} 1\n# EOF\n",
           head + "a_total 1\na_total 2\n# EOF\n",
           head + "a_total 1\n\n# EOF\n",
           head + "a_total 1\n" + head + "# EOF\n",
           head + "a_total 1\n# TYPE b gauge\nb 1\n" + head + "a_total{x=\"z\"} 2\n# EOF\n",
           std::string("# TYPE a counter\n# UNIT a seconds\na_total 1\n# EOF\n"),
           histogram + "h_bucket{le=\"1.0\"} 1\nh_count 1\nh_sum 1\n# EOF\n",
           histogram + "h_bucket{le=\"+Inf\"} 1\nh_count 2\nh_sum 1\n# EOF\n",
           histogram + "h_bucket{le=\"+Inf\"} 1\nh_count 1\n# EOF\n",
           histogram +
               "h_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum 1\n# EOF\n",
           histogram + "h_bucket{le=\"2.0\"} 1\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 1\n"
                       "h_count 1\nh_sum 1\n# EOF\n",
           histogram + "h_bucket 1\nh_count 1\nh_sum 1\n# EOF\n",
       }) {
    EXPECT_THAT(ParseOpenMetrics(wrong), HasCode(StatusCode::kInvalidArgument)) << wrong;
  }
}

}  // namespace
}  // namespace spoolrpc::metrics
