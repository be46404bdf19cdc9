// Times calls. The same code measures every contender, so that they differ in nothing but the call.
//
// Results are words NAME=NUMBER, which a driver reads: times in microseconds, rates a second,
// `cpu_us` the processor time that a call took of client and server together.
#ifndef SPOOLRPC_BENCHMARKS_MEASURE_H_
#define SPOOLRPC_BENCHMARKS_MEASURE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"

namespace spoolrpc::benchmarks {

// How one call after another is timed.
struct LatencyPlan {
  int warmup = 0;  // calls that do not count
  int calls = 0;   // calls that do, at least one
  // Nobody calls for so long before each call: long enough, and both sides sleep when it begins.
  absl::Duration pause;
  pid_t server = 0;  // whose processor time counts beside this process's; 0: there is none
};

// Times of single calls, in microseconds, in their order.
struct Latency {
  std::vector<double> times_us;
  double cpu_us = 0;
};

// Makes calls one after another on this thread.
Latency MeasureLatency(const LatencyPlan& plan, absl::FunctionRef<void()> call);

// "p50_us=... p99_us=... mean_us=... cpu_us=...".
std::string Format(const Latency& latency);
// "p50_us=... p99_us=... mean_us=..." of times, at least one.
std::string FormatTimes(std::vector<double> times_us);

// What went on during a window of time.
struct Throughput {
  double rate = 0;  // a second
  double cpu_us = 0;
};

// Lets whatever counts in `total` run, for a fifth of `duration` unobserved and then for all of it
// observed. `total` is called by this thread, while others count. `server` as above.
Throughput Observe(absl::Duration duration, pid_t server, absl::FunctionRef<uint64_t()> total);

// Observes `threads` threads, each making one call after another. `call` is called by all of them
// at once.
Throughput MeasureRate(int threads, absl::Duration duration, pid_t server,
                       absl::FunctionRef<void()> call);

// "rate=... cpu_us=...".
std::string Format(const Throughput& throughput);

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_MEASURE_H_
