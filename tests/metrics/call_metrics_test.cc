// What is counted about calls, also by many threads.
#include "spoolrpc/metrics/call_metrics.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "spoolrpc/metrics/call_counter.h"
#include "spoolrpc/metrics/registry.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::metrics {
namespace {

using absl::StatusCode;

TEST(CallMetricsTest, CountsACall) {
  CallMetrics metrics;
  metrics.OnStart();
  EXPECT_EQ(metrics.Summary().started, 1);
  EXPECT_EQ(metrics.Summary().in_flight, 1);
  EXPECT_EQ(metrics.Summary().Ended(), 0);
  metrics.OnReceive(20);
  metrics.OnSend(100);
  EXPECT_EQ(metrics.Summary().bytes_sent, 100);  // while it lasts
  metrics.OnEnd(StatusCode::kOk, 5000);
  metrics.OnStart();
  metrics.OnSend(10);
  metrics.OnEnd(StatusCode::kUnavailable, 7000);
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
    metrics.OnEnd(static_cast<StatusCode>(code), 1);
  }
  const MethodSummary summary = metrics.Summary();
  for (int code = 0; code < kStatusCodes; ++code) {
    EXPECT_EQ(summary.ended[code], code == static_cast<int>(StatusCode::kUnknown) ? 5 : 1);
  }
}

TEST(CallMetricsTest, ATimeThatRanBackwardsIsNone) {
  CallMetrics metrics;
  metrics.OnEnd(StatusCode::kOk, -5);
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
        metrics.OnSend(3);
        metrics.OnReceive(5);
        metrics.OnEnd(call % 2 == 0 ? StatusCode::kOk : StatusCode::kInternal, call);
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

TEST(CallCounterTest, CountsFromItsBeginningToItsEnd) {
  testing::FakeClock clock;
  CallMetrics metrics;
  const os::Nanos began = clock.Now();
  clock.Advance(absl::Microseconds(5));  // read, and looked at later
  const CallCounter counter(&metrics, &clock, began);
  EXPECT_TRUE(counter.counts());
  EXPECT_EQ(metrics.Summary().in_flight, 1);
  clock.Advance(absl::Microseconds(2));
  const CallCounter same = counter;
  same.OnReceive(3);
  same.OnSend(4);
  same.OnEnd(StatusCode::kAborted);
  const MethodSummary summary = metrics.Summary();
  EXPECT_EQ(summary.started, 1);
  EXPECT_EQ(summary.in_flight, 0);
  EXPECT_EQ(summary.ended[static_cast<int>(StatusCode::kAborted)], 1);
  EXPECT_EQ(summary.bytes_sent, 4);
  EXPECT_EQ(summary.bytes_received, 3);
  EXPECT_EQ(summary.latency.max, 7000);
}

TEST(CallCounterTest, WithoutMetricsItCountsNothing) {
  for (const CallCounter& counter : {CallCounter(), CallCounter(nullptr, nullptr, 1)}) {
    EXPECT_FALSE(counter.counts());
    counter.OnSend(1);
    counter.OnReceive(1);
    counter.OnEnd(StatusCode::kOk);
  }
}

TEST(RegistryTest, FileOperationsOfAllAreAddedUpAndOutliveIt) {
  testing::FaultySystemCalls one;
  testing::FaultySystemCalls other;
  auto registry = std::make_unique<Registry>(Role::kClient);
  const auto calls = registry->CountFileOperations(&one);
  EXPECT_EQ(registry->CountFileOperations(&one), calls);
  const auto more = registry->CountFileOperations(&other);
  EXPECT_NE(more, calls);
  calls->Unlink("/nonexistent/name");
  more->Unlink("/nonexistent/name");
  more->Rmdir("/nonexistent/name");
  const FileOperationCounts counts = registry->FileOperations();
  EXPECT_EQ(counts[static_cast<int>(FileOperation::kUnlink)], 2);
  EXPECT_EQ(counts[static_cast<int>(FileOperation::kRmdir)], 1);
  EXPECT_EQ(other.Count(testing::Call::kRmdir), 1);
  registry.reset();
  more->Rmdir("/nonexistent/name");
  EXPECT_EQ(other.Count(testing::Call::kRmdir), 2);
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
