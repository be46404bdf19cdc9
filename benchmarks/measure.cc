#include "benchmarks/measure.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "absl/strings/str_format.h"

namespace spoolrpc::benchmarks {
namespace {

using Clock = std::chrono::steady_clock;

double Microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

}  // namespace

Latency Summarize(std::vector<double>* times_us) {
  std::vector<double>& times = *times_us;
  std::sort(times.begin(), times.end());
  Latency latency;
  latency.p50_us = times[times.size() / 2];
  latency.p99_us = times[times.size() * 99 / 100];
  latency.mean_us = std::accumulate(times.begin(), times.end(), 0.0) / times.size();
  return latency;
}

Latency MeasureLatency(int warmup, int calls, absl::FunctionRef<void()> call) {
  for (int i = 0; i < warmup; ++i) call();
  std::vector<double> times;
  times.reserve(calls);
  // One reading of the clock a call: the end of one is the beginning of the next.
  Clock::time_point begin = Clock::now();
  for (int i = 0; i < calls; ++i) {
    call();
    const Clock::time_point end = Clock::now();
    times.push_back(Microseconds(end - begin));
    begin = end;
  }
  return Summarize(&times);
}

double MeasureRate(int threads, absl::Duration duration, absl::FunctionRef<void()> call) {
  // A count of its own cache line for each thread.
  struct alignas(64) Count {
    std::atomic<uint64_t> calls{0};
  };
  std::vector<Count> counts(threads);
  std::atomic<bool> stop{false};
  const auto total = [&counts] {
    uint64_t sum = 0;
    for (const Count& count : counts) sum += count.calls.load(std::memory_order_relaxed);
    return sum;
  };
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&stop, &call, &count = counts[i].calls] {
      while (!stop.load(std::memory_order_relaxed)) {
        call();
        count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      }
    });
  }
  const auto length = absl::ToChronoNanoseconds(duration);
  std::this_thread::sleep_for(length / 5);
  const uint64_t before = total();
  const Clock::time_point began = Clock::now();
  std::this_thread::sleep_for(length);
  const uint64_t made = total() - before;
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& worker : workers) worker.join();
  return made / seconds;
}

std::string Format(const Latency& latency) {
  return absl::StrFormat("p50_us=%.3f p99_us=%.3f mean_us=%.3f", latency.p50_us, latency.p99_us,
                         latency.mean_us);
}

std::string FormatRate(double rate) { return absl::StrFormat("rate=%.1f", rate); }

}  // namespace spoolrpc::benchmarks
