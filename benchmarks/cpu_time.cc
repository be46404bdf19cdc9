#include "benchmarks/cpu_time.h"

#include <time.h>

#include "absl/strings/str_cat.h"
#include "benchmarks/die.h"

namespace spoolrpc::benchmarks {

double CpuTimeUs(pid_t pid) {
  clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
  timespec time = {};
  if ((pid != 0 && clock_getcpuclockid(pid, &clock) != 0) || clock_gettime(clock, &time) != 0) {
    Die(absl::StrCat("the processor time of process ", pid, " cannot be read"));
  }
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

}  // namespace spoolrpc::benchmarks
