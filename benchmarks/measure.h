// Times calls. The same code measures every contender, so that they differ in nothing but the call.
#ifndef SPOOLRPC_BENCHMARKS_MEASURE_H_
#define SPOOLRPC_BENCHMARKS_MEASURE_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"

namespace spoolrpc::benchmarks {

// Times of single calls, in microseconds.
struct Latency {
  double p50_us = 0;
  double p99_us = 0;
  double mean_us = 0;
};

// Of times in microseconds, at least one of them; sorts them.
Latency Summarize(std::vector<double>* times_us);

// Makes `warmup` calls that do not count, then `calls` that do, one after another on this thread.
Latency MeasureLatency(int warmup, int calls, absl::FunctionRef<void()> call);

// Calls a second of `threads` threads, each making one call after another, over `duration`, after a
// warm-up of a fifth of it. `call` is called by all of them at once.
double MeasureRate(int threads, absl::Duration duration, absl::FunctionRef<void()> call);

// "p50_us=... p99_us=... mean_us=...": what a contender prints and a driver reads.
std::string Format(const Latency& latency);
// "rate=...", calls a second.
std::string FormatRate(double rate);

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_MEASURE_H_
