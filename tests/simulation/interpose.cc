// The C library's functions by which threads block, are made, and learn time and chance, for
// simulated threads; all others get the C library's own.
//
// A definition in the program wins over a shared library's, so that Abseil's mutexes (which use
// syscall(SYS_futex)), libstdc++ and the runtime all come here. pthread's own mutexes do not:
// nobody gives his turn away while he holds one.

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/simulation/inside.h"
#include "tests/simulation/raw_futex.h"

namespace spoolrpc::simulation {
namespace {

// 2020-01-01 00:00:00 UTC at the world's first moment.
constexpr os::Nanos kEpoch = os::Nanos{1577836800} * 1000000000 - kStart;

template <class Function>
Function* Next(Function*, const char* name) {
  void* const found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) abort();
  return reinterpret_cast<Function*>(found);
}
// The C library's function of that name.
#define SPOOLRPC_NEXT(name) (::spoolrpc::simulation::Next(&::name, #name))

os::Nanos ToNanos(const timespec& t) { return os::Nanos{t.tv_sec} * 1000000000 + t.tv_nsec; }

os::Nanos Later(const timespec* relative) {
  if (relative == nullptr) return os::kNever;
  const os::Nanos now = CurrentArena()->now.load();
  const os::Nanos wait = relative->tv_sec > 1000000000 ? os::kNever - now : ToNanos(*relative);
  return wait >= os::kNever - now ? os::kNever : now + wait;
}

bool IsRealtime(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

bool IsSimulated(clockid_t clock) {
  return IsRealtime(clock) || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
         clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE;
}

struct Start {
  void* (*function)(void*);
  void* argument;
  Slot* slot;
  Arena* arena;
};

void* RunThread(void* argument) {
  const Start start = *static_cast<Start*>(argument);
  Enter(start.arena, start.slot);
  // (Not before its turn, since it would matter to the order of things on the heap.)
  delete static_cast<Start*>(argument);
  void* const result = start.function(start.argument);
  Leave();
  return result;
}

std::map<pthread_t, Slot*>& Threads() {
  static auto* const threads = new std::map<pthread_t, Slot*>;
  return *threads;
}

int SimulatedFutex(uint32_t* word, int operation, uint32_t value, const timespec* timeout) {
  switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
      return FutexWait(word, value, Later(timeout));
    case FUTEX_WAIT_BITSET: {
      // The timeout is a moment.
      os::Nanos deadline = os::kNever;
      if (timeout != nullptr) {
        deadline = ToNanos(*timeout) - ((operation & FUTEX_CLOCK_REALTIME) ? kEpoch : 0);
      }
      return FutexWait(word, value, deadline);
    }
    case FUTEX_WAKE:
      return FutexWake(word, static_cast<int>(value));
    default:
      abort();
  }
}

}  // namespace
}  // namespace spoolrpc::simulation

using spoolrpc::simulation::CurrentArena;
using spoolrpc::simulation::CurrentSlot;
namespace simulation = spoolrpc::simulation;
namespace os = spoolrpc::os;

extern "C" {

long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  long result;
  if (number == SYS_futex && CurrentSlot() != nullptr) {
    result = simulation::SimulatedFutex(reinterpret_cast<uint32_t*>(a[0]), static_cast<int>(a[1]),
                                        static_cast<uint32_t>(a[2]),
                                        reinterpret_cast<const timespec*>(a[3]));
  } else {
    result = simulation::RawSystemCall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return -1;
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (CurrentSlot() == nullptr || !simulation::IsSimulated(clock)) {
    const long result =
        simulation::RawSystemCall(SYS_clock_gettime, clock, reinterpret_cast<long>(time));
    if (result == 0) return 0;
    errno = static_cast<int>(-result);
    return -1;
  }
  os::Nanos now = simulation::Now();
  if (simulation::IsRealtime(clock)) now += simulation::kEpoch;
  time->tv_sec = now / 1000000000;
  time->tv_nsec = now % 1000000000;
  return 0;
}

int gettimeofday(timeval* time, void* zone) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

int nanosleep(const timespec* wait, timespec* rest) {
  if (CurrentSlot() == nullptr) return SPOOLRPC_NEXT(nanosleep)(wait, rest);
  simulation::SleepUntil(simulation::Later(wait));
  return 0;
}

int sched_yield() noexcept {
  if (CurrentSlot() == nullptr) return SPOOLRPC_NEXT(sched_yield)();
  // (Whoever yields in a loop waits for others, whose next moment may lie ahead.)
  simulation::SleepUntil(simulation::Now() + 1000);
  return 0;
}

ssize_t getrandom(void* buffer, size_t count, unsigned flags) {
  if (CurrentSlot() == nullptr) return SPOOLRPC_NEXT(getrandom)(buffer, count, flags);
  char* at = static_cast<char*>(buffer);
  for (size_t done = 0; done < count;) {
    const uint64_t random = simulation::NextRandom();
    const size_t some = std::min(count - done, sizeof(random));
    memcpy(at + done, &random, some);
    done += some;
  }
  return static_cast<ssize_t>(count);
}

int ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  const auto next = SPOOLRPC_NEXT(ppoll);
  if (CurrentSlot() == nullptr) return next(fds, count, timeout, mask);
  const os::Nanos deadline = simulation::Later(timeout);
  for (;;) {
    const timespec none = {0, 0};
    const int ready = next(fds, count, &none, mask);
    if (ready != 0 || CurrentArena()->now.load() >= deadline) return ready;
    simulation::BlockInPoll(deadline);
  }
}

int poll(pollfd* fds, nfds_t count, int timeout) {
  if (CurrentSlot() == nullptr) return SPOOLRPC_NEXT(poll)(fds, count, timeout);
  const timespec relative = {timeout / 1000, timeout % 1000 * 1000000L};
  return ppoll(fds, count, timeout < 0 ? nullptr : &relative, nullptr);
}

int epoll_wait(int fd, epoll_event* events, int count, int timeout) {
  const auto next = SPOOLRPC_NEXT(epoll_wait);
  if (CurrentSlot() == nullptr || timeout == 0) return next(fd, events, count, timeout);
  const timespec relative = {timeout / 1000, timeout % 1000 * 1000000L};
  const os::Nanos deadline = simulation::Later(timeout < 0 ? nullptr : &relative);
  for (;;) {
    const int ready = next(fd, events, count, 0);
    if (ready != 0 || CurrentArena()->now.load() >= deadline) return ready;
    simulation::BlockInPoll(deadline);
  }
}

int eventfd_write(int fd, eventfd_t value) {
  const int result = SPOOLRPC_NEXT(eventfd_write)(fd, value);
  if (CurrentSlot() != nullptr) simulation::WakePolling();
  return result;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                   void* argument) noexcept {
  const auto next = SPOOLRPC_NEXT(pthread_create);
  if (CurrentSlot() == nullptr) return next(thread, attributes, function, argument);
  auto* const start =
      new simulation::Start{function, argument, simulation::NewThread(), CurrentArena()};
  simulation::Slot* const slot = start->slot;
  const int result = next(thread, attributes, simulation::RunThread, start);
  if (result != 0) abort();
  simulation::Threads()[*thread] = slot;
  return 0;
}

int pthread_join(pthread_t thread, void** result) {
  if (CurrentSlot() != nullptr) {
    const auto found = simulation::Threads().find(thread);
    if (found != simulation::Threads().end()) {
      simulation::AwaitExit(found->second);
      simulation::Threads().erase(thread);
    }
  }
  return SPOOLRPC_NEXT(pthread_join)(thread, result);
}

}  // extern "C"

// Abseil reads the processor's own counter, and no clock of the C library's.
namespace absl {
ABSL_NAMESPACE_BEGIN

int64_t GetCurrentTimeNanos() {
  timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return simulation::ToNanos(time);
}

Time Now() { return FromUnixNanos(GetCurrentTimeNanos()); }

namespace base_internal {

// Its mutex would measure this by sleeping.
double NominalCPUFrequency() { return 1e9; }

}  // namespace base_internal

ABSL_NAMESPACE_END
}  // namespace absl
