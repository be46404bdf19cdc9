// The histogram's buckets, and how far its quantiles are from the true ones.
#include "spoolrpc/metrics/histogram.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/seed.h"

namespace spoolrpc::metrics {
namespace {

constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();

TEST(HistogramTest, EveryBucketEndsWhereTheNextBegins) {
  for (size_t i = 0; i < kBuckets; ++i) {
    const uint64_t bound = BucketBound(i);
    EXPECT_EQ(BucketOf(bound), i);
    if (i + 1 < kBuckets) {
      EXPECT_EQ(BucketOf(bound + 1), i + 1);
      const uint64_t width = BucketBound(i + 1) - bound;
      EXPECT_LE(width, std::max<uint64_t>(1, bound / kBucketsPerOctave)) << bound;
    }
  }
  EXPECT_EQ(BucketOf(0), 0);
  EXPECT_EQ(BucketOf(1), 0);
  EXPECT_EQ(BucketBound(kBuckets - 1), kLargest);
}

TEST(HistogramTest, PowersOfTwoAreBounds) {
  for (int i = 0; i < 64; ++i) {
    const uint64_t power = uint64_t{1} << i;
    EXPECT_EQ(BucketBound(BucketOf(power)), power);
  }
}

TEST(HistogramTest, NothingRecorded) {
  const HistogramSnapshot none = Histogram().Snapshot();
  EXPECT_EQ(none.count, 0);
  EXPECT_EQ(none.Mean(), 0);
  EXPECT_EQ(none.Quantile(0.5), 0);
  EXPECT_EQ(none.CountUpTo(kLargest), 0);
}

TEST(HistogramTest, OneValueIsEveryQuantile) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{123456789}, kLargest}) {
    Histogram histogram;
    histogram.Record(value);
    const HistogramSnapshot snapshot = histogram.Snapshot();
    EXPECT_EQ(snapshot.min, value);
    EXPECT_EQ(snapshot.max, value);
    for (const double q : {0.0, 0.5, 0.999, 1.0}) {
      EXPECT_EQ(snapshot.Quantile(q), static_cast<double>(value));
    }
  }
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 32; ++value) histogram.Record(value);
  const HistogramSnapshot snapshot = histogram.Snapshot();
  for (uint64_t value = 2; value <= 32; ++value) {
    EXPECT_EQ(snapshot.Quantile(static_cast<double>(value) / 32), static_cast<double>(value));
    EXPECT_EQ(snapshot.CountUpTo(value), value);
  }
  EXPECT_EQ(snapshot.Mean(), 16.5);
}

TEST(HistogramTest, QuantilesAreWithinTheBound) {
  std::mt19937_64 random(testing::TestSeed());
  for (int round = 0; round < 30; ++round) {
    std::vector<uint64_t> values(1 + random() % 5000);
    Histogram histogram;
    // Latencies of all sizes: log-normal around 1 us to 10 s.
    std::lognormal_distribution<double> size(std::log(1e3) + round * std::log(1e7) / 30,
                                             0.1 + round % 5);
    double sum = 0;
    for (uint64_t& value : values) {
      value = static_cast<uint64_t>(std::min(1e18, size(random)));
      histogram.Record(value);
      sum += static_cast<double>(value);
    }
    std::sort(values.begin(), values.end());
    const HistogramSnapshot snapshot = histogram.Snapshot();
    EXPECT_EQ(snapshot.count, values.size());
    EXPECT_EQ(snapshot.min, values.front());
    EXPECT_EQ(snapshot.max, values.back());
    EXPECT_NEAR(snapshot.Mean(), sum / values.size(), 1e-9 * sum / values.size());
    for (const double q : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const size_t rank = std::max<size_t>(1, std::ceil(q * values.size()));
      const double exact = static_cast<double>(values[rank - 1]);
      EXPECT_NEAR(snapshot.Quantile(q), exact, exact / 32 + 0.5) << q;
    }
    for (int i = 0; i < 64; ++i) {
      const uint64_t bound = uint64_t{1} << i;
      EXPECT_EQ(snapshot.CountUpTo(bound),
                std::upper_bound(values.begin(), values.end(), bound) - values.begin());
    }
  }
}

TEST(HistogramTest, ThreadsLoseNothingAndSnapshotsAreConsistent) {
  constexpr int kThreads = 4;
  constexpr uint64_t kValues = 50000;
  Histogram histogram;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    uint64_t last = 0;
    while (!done) {
      const HistogramSnapshot snapshot = histogram.Snapshot();
      EXPECT_GE(snapshot.count, last);
      last = snapshot.count;
      if (snapshot.count == 0) continue;
      EXPECT_LE(snapshot.min, snapshot.max);
      EXPECT_GE(snapshot.Quantile(0), static_cast<double>(snapshot.min));
      EXPECT_LE(snapshot.Quantile(1), static_cast<double>(snapshot.max));
    }
  });
  std::vector<std::thread> writers;
  for (int i = 0; i < kThreads; ++i) {
    writers.emplace_back([&histogram, i] {
      for (uint64_t value = 0; value < kValues; ++value) histogram.Record(value * kThreads + i);
    });
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  reader.join();
  const HistogramSnapshot snapshot = histogram.Snapshot();
  constexpr uint64_t kAll = kThreads * kValues;
  EXPECT_EQ(snapshot.count, kAll);
  EXPECT_EQ(snapshot.sum, static_cast<double>(kAll * (kAll - 1) / 2));
  EXPECT_EQ(snapshot.min, 0);
  EXPECT_EQ(snapshot.max, kAll - 1);
}

}  // namespace
}  // namespace spoolrpc::metrics
