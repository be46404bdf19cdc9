// What is counted about calls, also by many threads.
#include "spoolrpc/metrics/call_metrics.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "spoolrpc/metrics/registry.h"

namespace spoolrpc::metrics {
namespace {

using absl::StatusCode;

TEST(CallMetricsTest, CountsACall) {
  CallMetrics metrics;
  metrics.OnStart();
  EXPECT_EQ(metrics.Summary().started, 1);
  EXPECT_EQ(metrics.Summary().in_flight, 1);
  EXPECT_EQ(metrics.Summary().Ended(), 0);
  metrics.OnEnd(StatusCode::kOk, 5000, 100, 20);
  metrics.OnStart();
  metrics.OnEnd(StatusCode::kUnavailable, 7000, 10, 0);
  const MethodSummary summary = metrics.Summary();
  EXPECT_EQ(summary.started, 2);
  EXPECT_EQ(summary.in_flight, 0);
  EXPECT_EQ(summary.Ended(), 2);
  EXPECT_EQ(summary.Errors(), 1);
  EXPECT_EQ(summary.ended[static_cast<int>(StatusCode::kOk)], 1);
  EXPECT_EQ(summary.ended[static_cast<int>(StatusCode::kUnavailable)], 1);
  EXPECT_EQ(summary.bytes_sent, 110);
  EXPECT_EQ(summary.bytes_received, 20);
  EXPECT_EQ(summary.latency.count, 2);
  EXPECT_EQ(summary.latency.Mean(), 6000);
  EXPECT_EQ(summary.batch_size.count, 0);
}

TEST(CallMetricsTest, EveryCodeHasItsPlaceAndOthersAreUnknown) {
  CallMetrics metrics;
  for (int code = -2; code < kStatusCodes + 2; ++code) {
    metrics.OnEnd(static_cast<StatusCode>(code), 1, 0, 0);
  }
  const MethodSummary summary = metrics.Summary();
  for (int code = 0; code < kStatusCodes; ++code) {
    EXPECT_EQ(summary.ended[code], code == static_cast<int>(StatusCode::kUnknown) ? 5 : 1);
  }
}

TEST(CallMetricsTest, ATimeThatRanBackwardsIsNone) {
  CallMetrics metrics;
  metrics.OnEnd(StatusCode::kOk, -5, 0, 0);
  EXPECT_EQ(metrics.Summary().latency.max, 0);
}

TEST(CallMetricsTest, ManyThreadsLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 20000;
  CallMetrics metrics;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      const MethodSummary summary = metrics.Summary();
      EXPECT_LE(summary.in_flight, kThreads * kCalls);
      EXPECT_LE(summary.Ended(), summary.started);
      EXPECT_LE(summary.Ended(), summary.latency.count);
    }
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < kCalls; ++call) {
        metrics.OnStart();
        if (call % 100 == 0) metrics.OnBatch(1 + call % 7);
        metrics.OnEnd(call % 2 == 0 ? StatusCode::kOk : StatusCode::kInternal, call, 3, 5);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  done = true;
  reader.join();
  const MethodSummary summary = metrics.Summary();
  constexpr uint64_t kAll = kThreads * kCalls;
  EXPECT_EQ(summary.started, kAll);
  EXPECT_EQ(summary.in_flight, 0);
  EXPECT_EQ(summary.Errors(), kAll / 2);
  EXPECT_EQ(summary.bytes_sent, 3 * kAll);
  EXPECT_EQ(summary.bytes_received, 5 * kAll);
  EXPECT_EQ(summary.latency.count, kAll);
  EXPECT_EQ(summary.batch_size.count, kAll / 100);
}

TEST(RegistryTest, AMethodHasOneCallMetricsForGood) {
  Registry registry(Role::kServer);
  CallMetrics* const a = registry.ForMethod("pkg.Service/A");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int method = 0; method < 500; ++method) {
        registry.ForMethod("pkg.Service/M" + std::to_string(method))->OnStart();
        registry.QueueLength("queue" + std::to_string(method % 3))->Add(1);
        if (method % 50 == 0) {
          EXPECT_GE(registry.Summaries().size(), 1);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(registry.ForMethod("pkg.Service/A"), a);
  const std::vector<MethodSummary> summaries = registry.Summaries();
  ASSERT_EQ(summaries.size(), 501);
  EXPECT_EQ(summaries[0].method, "pkg.Service/A");
  EXPECT_EQ(summaries[0].started, 0);
  for (size_t i = 1; i < summaries.size(); ++i) EXPECT_EQ(summaries[i].started, 4);
  int64_t sum = 0;
  for (const auto& [queue, length] : registry.QueueLengths()) sum += length;
  EXPECT_EQ(sum, 4 * 500);
}

}  // namespace
}  // namespace spoolrpc::metrics
