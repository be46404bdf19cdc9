#include "tests/simulation/raw_futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

namespace spoolrpc::simulation {

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "the simulation needs a system call instruction for this processor"
#endif

long RawSystemCall(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#else
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
#endif
}

void RawFutexWait(std::atomic<uint32_t>* word, uint32_t expected, int timeout_ms) {
  timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
  RawSystemCall(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAIT, expected,
                timeout_ms < 0 ? 0 : reinterpret_cast<long>(&timeout));
}

void RawFutexWake(std::atomic<uint32_t>* word) {
  RawSystemCall(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAKE, 1);
}

int64_t RawGetTid() { return RawSystemCall(SYS_gettid); }

}  // namespace spoolrpc::simulation
