// What a process has taken of the processors' time so far.
#ifndef SPOOLRPC_BENCHMARKS_CPU_TIME_H_
#define SPOOLRPC_BENCHMARKS_CPU_TIME_H_

#include <sys/types.h>

namespace spoolrpc::benchmarks {

// User and system time of all threads of the process, in microseconds; of this one if `pid` is 0.
// Exact to the scheduler's clock, not to its ticks. Ends this program if there is no such process.
double CpuTimeUs(pid_t pid);

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_CPU_TIME_H_
