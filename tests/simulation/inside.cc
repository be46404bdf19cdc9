#include "tests/simulation/inside.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/simulation/raw_futex.h"

namespace spoolrpc::simulation {
namespace {

thread_local Slot* current_slot = nullptr;
Arena* arena = nullptr;

void AwaitTurn(Slot* self) {
  while (self->turn.load(std::memory_order_acquire) == 0) RawFutexWait(&self->turn, 0, -1);
  self->turn.store(0, std::memory_order_relaxed);
  self->state = ThreadState::kRunning;
}

void GiveTurn() {
  arena->world_turn.store(1, std::memory_order_release);
  RawFutexWake(&arena->world_turn);
}

// Gives the turn away in `state`, and waits for the next.
void Switch(ThreadState state) {
  Slot* const self = current_slot;
  self->state = state;
  GiveTurn();
  AwaitTurn(self);
}

// Calls fn(slot) for every other thread of this process.
template <class Function>
void ForOthers(Function fn) {
  for (int i = 0; i < arena->slot_count; ++i) {
    Slot* const slot = &arena->slots[i];
    if (slot != current_slot && slot->process == current_slot->process) fn(slot);
  }
}

}  // namespace

Slot* CurrentSlot() { return current_slot; }
Arena* CurrentArena() { return arena; }

void Enter(Arena* shared, Slot* slot) {
  arena = shared;
  current_slot = slot;
  slot->tid = RawGetTid();
  AwaitTurn(slot);
}

Slot* NewThread() {
  if (arena->slot_count == kMaxSlots) abort();
  Slot* const slot = &arena->slots[arena->slot_count++];
  slot->process = current_slot->process;
  slot->state = ThreadState::kReady;
  return slot;
}

void Leave() {
  Slot* const self = current_slot;
  ForOthers([](Slot* slot) {
    if (slot->state == ThreadState::kBlocked) slot->woken = true;
  });
  // (What the thread's own destructors do from here on happens outside.)
  current_slot = nullptr;
  self->state = ThreadState::kExited;
  GiveTurn();
}

os::Nanos Now() { return arena->now.fetch_add(kClockCost, std::memory_order_relaxed); }

uint64_t NextRandom() {
  // splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
  uint64_t z = (arena->random += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void Yield() { Switch(ThreadState::kReady); }

bool Block(os::Nanos deadline) {
  Slot* const self = current_slot;
  self->woken = false;
  self->deadline = deadline;
  Switch(ThreadState::kBlocked);
  return self->woken;
}

void SleepUntil(os::Nanos when) {
  while (arena->now.load() < when) Block(when);
}

int FutexWait(const uint32_t* word, uint32_t expected, os::Nanos deadline) {
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != expected) return -EAGAIN;
  current_slot->futex = word;
  const bool woken = Block(deadline);
  current_slot->futex = nullptr;
  return woken ? 0 : -ETIMEDOUT;
}

int FutexWake(const uint32_t* word, int count) {
  int woken = 0;
  ForOthers([&](Slot* slot) {
    if (woken < count && slot->state == ThreadState::kBlocked && slot->futex == word) {
      slot->woken = true;
      slot->futex = nullptr;
      ++woken;
    }
  });
  // Now and then who was woken is the first to go on.
  if (woken > 0 && NextRandom() % 8 == 0) Yield();
  return woken;
}

bool BlockInPoll(os::Nanos deadline) {
  current_slot->polls = true;
  const bool woken = Block(deadline);
  current_slot->polls = false;
  return woken;
}

void WakePolling() {
  ForOthers([](Slot* slot) {
    if (slot->state == ThreadState::kBlocked && slot->polls) slot->woken = true;
  });
}

void AwaitExit(const Slot* slot) {
  while (slot->state != ThreadState::kExited) Block(os::kNever);
}

void CallFileServer() { Switch(ThreadState::kCall); }

void Record(HistoryEvent event) {
  if (arena->event_count == kMaxEvents) abort();
  event.when = arena->now.load();
  event.process = current_slot->process;
  arena->events[arena->event_count++] = event;
}

bool AskedToStop() { return arena->asked_to_stop[current_slot->process].load(); }

void AwaitStop() {
  while (!AskedToStop()) BlockInPoll(os::kNever);
}

}  // namespace spoolrpc::simulation
