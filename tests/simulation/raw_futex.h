// System calls that go to the kernel whatever interpose.cc makes of syscall(2).
#ifndef SPOOLRPC_TESTS_SIMULATION_RAW_FUTEX_H_
#define SPOOLRPC_TESTS_SIMULATION_RAW_FUTEX_H_

#include <atomic>
#include <cstdint>

namespace spoolrpc::simulation {

// The kernel's answer: -errno for an error.
long RawSystemCall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                   long f = 0);

// Shared between processes. Returns when woken, when `*word` is not `expected`, after `timeout_ms`
// (negative: never), or for no reason at all.
void RawFutexWait(std::atomic<uint32_t>* word, uint32_t expected, int timeout_ms);
void RawFutexWake(std::atomic<uint32_t>* word);
int64_t RawGetTid();

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_RAW_FUTEX_H_
