#include "spoolrpc/metrics/histogram.h"

#include <algorithm>
#include <cmath>

#include "absl/numeric/bits.h"

namespace spoolrpc::metrics {
namespace {

constexpr int kSubBits = 4;  // of kBucketsPerOctave
static_assert(1 << kSubBits == kBucketsPerOctave);

}  // namespace

size_t BucketOf(uint64_t value) {
  // Buckets of [from, to) for value - 1 are buckets of (from, to] for value.
  const uint64_t v = value == 0 ? 0 : value - 1;
  if (v < kBucketsPerOctave) return v;
  const int octave = absl::bit_width(v) - 1;  // at least kSubBits
  const uint64_t sub = (v >> (octave - kSubBits)) - kBucketsPerOctave;
  return kBucketsPerOctave + (octave - kSubBits) * kBucketsPerOctave + sub;
}

uint64_t BucketBound(size_t index) {
  if (index < kBucketsPerOctave) return index + 1;
  const int shift = static_cast<int>(index / kBucketsPerOctave) - 1;
  const uint64_t end = kBucketsPerOctave + index % kBucketsPerOctave + 1;
  // The last one's does not fit; its values end one earlier.
  if (index == kBuckets - 1) return std::numeric_limits<uint64_t>::max();
  return end << shift;
}

void Histogram::Record(uint64_t value) {
  uint64_t seen = min_.load(std::memory_order_relaxed);
  while (value < seen && !min_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
  seen = max_.load(std::memory_order_relaxed);
  while (value > seen && !max_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
  sum_.fetch_add(value, std::memory_order_relaxed);
  // Last, so that a snapshot that counts the value knows it for its minimum and maximum.
  buckets_[BucketOf(value)].fetch_add(1, std::memory_order_release);
}

HistogramSnapshot Histogram::Snapshot() const {
  HistogramSnapshot snapshot;
  snapshot.buckets.resize(kBuckets);
  for (size_t i = 0; i < kBuckets; ++i) {
    snapshot.buckets[i] = buckets_[i].load(std::memory_order_acquire);
    snapshot.count += snapshot.buckets[i];
  }
  if (snapshot.count == 0) return {};
  snapshot.sum = static_cast<double>(sum_.load(std::memory_order_relaxed));
  snapshot.min = min_.load(std::memory_order_relaxed);
  snapshot.max = max_.load(std::memory_order_relaxed);
  return snapshot;
}

double HistogramSnapshot::Quantile(double q) const {
  if (count == 0) return 0;
  const auto rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(count)));
  const uint64_t wanted = std::min(std::max<uint64_t>(1, rank), count);
  uint64_t so_far = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    so_far += buckets[i];
    if (so_far < wanted) continue;
    // Buckets of one value are exact, the first one (0 and 1) aside.
    const double last = static_cast<double>(BucketBound(i));
    const double first = i == 0 ? 0 : static_cast<double>(BucketBound(i - 1)) + 1;
    return std::clamp((first + last) / 2, static_cast<double>(min), static_cast<double>(max));
  }
  return static_cast<double>(max);
}

uint64_t HistogramSnapshot::CountUpTo(uint64_t bound) const {
  uint64_t result = 0;
  for (size_t i = 0; i < buckets.size() && BucketBound(i) <= bound; ++i) result += buckets[i];
  return result;
}

}  // namespace spoolrpc::metrics
