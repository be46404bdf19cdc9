#include "benchmarks/measure.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "benchmarks/cpu_time.h"

namespace spoolrpc::benchmarks {
namespace {

using Clock = std::chrono::steady_clock;

double Microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

double CpuOfBothUs(pid_t server) { return CpuTimeUs(0) + (server == 0 ? 0 : CpuTimeUs(server)); }

}  // namespace

Latency MeasureLatency(const LatencyPlan& plan, absl::FunctionRef<void()> call) {
  for (int i = 0; i < plan.warmup; ++i) call();
  Latency latency;
  latency.times_us.reserve(plan.calls);
  const bool pauses = plan.pause > absl::ZeroDuration();
  const double cpu_before = CpuOfBothUs(plan.server);
  // One reading of the clock a call: the end of one is the beginning of the next.
  Clock::time_point begin = Clock::now();
  for (int i = 0; i < plan.calls; ++i) {
    if (pauses) {
      absl::SleepFor(plan.pause);
      begin = Clock::now();
    }
    call();
    const Clock::time_point end = Clock::now();
    latency.times_us.push_back(Microseconds(end - begin));
    begin = end;
  }
  latency.cpu_us = (CpuOfBothUs(plan.server) - cpu_before) / plan.calls;
  return latency;
}

std::string FormatTimes(std::vector<double> times_us) {
  std::sort(times_us.begin(), times_us.end());
  const size_t count = times_us.size();
  return absl::StrFormat("p50_us=%.3f p99_us=%.3f mean_us=%.3f", times_us[count / 2],
                         times_us[count * 99 / 100],
                         std::accumulate(times_us.begin(), times_us.end(), 0.0) / count);
}

std::string Format(const Latency& latency) {
  return absl::StrFormat("%s cpu_us=%.3f", FormatTimes(latency.times_us), latency.cpu_us);
}

Throughput Observe(absl::Duration duration, pid_t server, absl::FunctionRef<uint64_t()> total) {
  absl::SleepFor(duration / 5);
  const double cpu_before = CpuOfBothUs(server);
  const uint64_t before = total();
  const Clock::time_point began = Clock::now();
  absl::SleepFor(duration);
  const uint64_t made = total() - before;
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  const double cpu = CpuOfBothUs(server) - cpu_before;
  return {made / seconds, cpu / std::max<double>(made, 1)};
}

Throughput MeasureRate(int threads, absl::Duration duration, pid_t server,
                       absl::FunctionRef<void()> call) {
  // A count of its own cache line for each thread.
  struct alignas(64) Count {
    std::atomic<uint64_t> calls{0};
  };
  std::vector<Count> counts(threads);
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&stop, &call, &count = counts[i].calls] {
      while (!stop.load(std::memory_order_relaxed)) {
        call();
        count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      }
    });
  }
  const Throughput throughput = Observe(duration, server, [&counts] {
    uint64_t sum = 0;
    for (const Count& count : counts) sum += count.calls.load(std::memory_order_relaxed);
    return sum;
  });
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& worker : workers) worker.join();
  return throughput;
}

std::string Format(const Throughput& throughput) {
  return absl::StrFormat("rate=%.1f cpu_us=%.3f", throughput.rate, throughput.cpu_us);
}

}  // namespace spoolrpc::benchmarks
