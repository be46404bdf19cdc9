// A histogram that costs a few nanoseconds a value and still tells quantiles of anything between
// one nanosecond and centuries: its buckets are narrow where values are small.
#ifndef SPOOLRPC_METRICS_HISTOGRAM_H_
#define SPOOLRPC_METRICS_HISTOGRAM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace spoolrpc::metrics {

// Values are counted in log-linear buckets: each power of two is divided into 16 of equal width. A
// bucket holds the values from above its lower bound to its upper bound, that one included; 0 lies
// in the first, with 1. So the values up to 32 are told apart, a bucket is no wider than a
// sixteenth of its values, and every power of two is the upper bound of one.
constexpr int kBucketsPerOctave = 16;
constexpr size_t kBuckets = 16 + 60 * kBucketsPerOctave;

// The bucket that counts `value`.
size_t BucketOf(uint64_t value);
// The largest value that bucket `index` counts.
uint64_t BucketBound(size_t index);

// What a histogram held at one time.
struct HistogramSnapshot {
  uint64_t count = 0;
  double sum = 0;
  uint64_t min = 0;  // min and max are exact; 0 if there are no values
  uint64_t max = 0;
  std::vector<uint64_t> buckets;  // kBuckets of them, or none

  double Mean() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
  // A value within 1/32 of the one that has `q` (0 to 1) of all values at or below it; 0 if there
  // are no values.
  double Quantile(double q) const;
  // How many values are at most `bound`; exact if that is some bucket's bound.
  uint64_t CountUpTo(uint64_t bound) const;
};

// Thread-safe and lock-free. Takes 8 KB.
class Histogram {
 public:
  void Record(uint64_t value);
  // Values that are recorded meanwhile may be in some parts of it and not yet in others.
  HistogramSnapshot Snapshot() const;

 private:
  std::atomic<uint64_t> buckets_[kBuckets] = {};
  std::atomic<uint64_t> sum_{0};
  std::atomic<uint64_t> min_{std::numeric_limits<uint64_t>::max()};
  std::atomic<uint64_t> max_{0};
};

}  // namespace spoolrpc::metrics

#endif  // SPOOLRPC_METRICS_HISTOGRAM_H_
