// The memory that a simulated world shares with its processes: whose turn it is, what each thread
// waits for or asks of the file system, the world's time, and what has happened.
//
// Simulated processes are real ones, forked from the world's, with all of their threads; but only
// one thread of them all runs at any moment, until it blocks or asks for something. Then the world
// decides who is next, and what time it is. So nothing here needs a lock.
#ifndef SPOOLRPC_TESTS_SIMULATION_ARENA_H_
#define SPOOLRPC_TESTS_SIMULATION_ARENA_H_

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "spoolrpc/os/clock.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::simulation {

constexpr int kMaxSlots = 512;
constexpr int kMaxEvents = 4096;
constexpr size_t kMaxPath = 512;
// The most that one read or write moves; the simulated kernel cuts longer ones short.
constexpr size_t kMaxTransfer = 256 * 1024;
// The world's first moment, on every clock since boot.
constexpr os::Nanos kStart = os::Nanos{3600} * 1000000000;
// What each look at a clock takes, so that whoever spins on one comes to an end.
constexpr os::Nanos kClockCost = 50;

// A file operation that a thread has asked for.
struct FileRequest {
  testing::Call call;
  int fd;
  int flags;
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  int64_t offset;
  uint64_t count;
  char path[kMaxPath];
  char other[kMaxPath];
  // The answer. Listings are in `data`, each name with its NUL; `count` is their number.
  int64_t result;
  struct stat info;
  struct statfs file_system;
  char data[kMaxTransfer];
};

enum class ThreadState : int {
  kFree,
  kReady,    // wants to run
  kRunning,  // has the turn
  kBlocked,  // until woken, or until `deadline`
  kCall,     // until its file request is answered
  kExited,
};

// A thread of a simulated process.
struct Slot {
  std::atomic<uint32_t> turn;  // a futex: 1, run
  ThreadState state;
  int process;
  int64_t tid;
  os::Nanos deadline;
  bool woken;
  bool polls;         // blocked in poll(2) or epoll_wait(2)
  const void* futex;  // blocked on that address of its process
  FileRequest request;
};

// Something that the checker will want to know.
struct HistoryEvent {
  enum class Kind : int {
    kBegin,      // a client is about to call
    kEnd,        // its call has ended, with `code`, `reason`, `may_have_executed`
    kExecute,    // a handler begins
    kSubmitted,  // a durable call has its ticket, in `text`
    kCollected,  // the end of a durable call, as kEnd
    kServing,    // a server's process serves
    kStopped,    // a server's process has stopped, of itself or when asked
  };
  Kind kind;
  os::Nanos when;
  int process;
  int method;  // Idempotency (programs.h)
  char id[32];
  int code;
  int reason;
  bool may_have_executed;
  bool right_reply;
  char text[160];
};

struct Arena {
  std::atomic<uint32_t> world_turn;  // a futex: 1, the world decides
  std::atomic<os::Nanos> now;
  uint64_t random;  // state of the generator that threads use
  int slot_count;
  Slot slots[kMaxSlots];
  int event_count;
  HistoryEvent events[kMaxEvents];
  // What the world has asked of each process.
  std::atomic<bool> asked_to_stop[kMaxSlots];
};

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_ARENA_H_
