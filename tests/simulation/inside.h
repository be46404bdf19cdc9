// What the threads of a simulated process do with the world: wait for their turn, block, ask for
// file operations, tell what happened.
#ifndef SPOOLRPC_TESTS_SIMULATION_INSIDE_H_
#define SPOOLRPC_TESTS_SIMULATION_INSIDE_H_

#include <cstdint>
#include <string>

#include "tests/simulation/arena.h"

namespace spoolrpc::simulation {

// Of this thread; null in a process or thread that is not simulated.
Slot* CurrentSlot();
Arena* CurrentArena();

// The calling thread becomes the one of `slot`, and waits for its turn.
void Enter(Arena* arena, Slot* slot);
// A slot for a thread that the calling one creates; it is ready at once.
Slot* NewThread();
// Ends the calling thread's part in the simulation.
void Leave();

// The world's time, which a look moves on a little.
os::Nanos Now();
uint64_t NextRandom();

// Gives the turn away, and has it again at some time.
void Yield();
// Waits until woken or until `deadline`. False if the deadline came first.
bool Block(os::Nanos deadline);
void SleepUntil(os::Nanos when);

// As the kernel's futex: waits while `*word` is `expected`; wakes those who wait for it. The
// results are as the system call's, errors as -errno.
int FutexWait(const uint32_t* word, uint32_t expected, os::Nanos deadline);
int FutexWake(const uint32_t* word, int count);
// Blocks a thread that polls descriptors, and wakes all that do in this process.
bool BlockInPoll(os::Nanos deadline);
void WakePolling();
// Waits for the end of another thread of this process.
void AwaitExit(const Slot* slot);

// Has the request in CurrentSlot()->request answered.
void CallFileServer();

// Adds to the history; process and time are filled in.
void Record(HistoryEvent event);
// Whether the world has asked this process to stop; AwaitStop() returns when it has.
bool AskedToStop();
void AwaitStop();

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_INSIDE_H_
