#include "spoolrpc/wait/waker.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace spoolrpc::wait {
namespace {

thread_local Waker::Scope* current = nullptr;

// Harmless where the word's memory is somebody else's meanwhile: whoever sleeps there wakes once
// for no reason.
void WakeSleeper(const std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace

Waker::Scope::Scope() : outer_(current) { current = this; }

Waker::Scope::~Scope() {
  current = outer_;
  for (const std::atomic<uint32_t>* const word : words_) WakeSleeper(word);
}

void Waker::Sleep(uint32_t seen, os::Nanos timeout) {
  if (timeout <= 0) return;
  timespec relative;
  relative.tv_sec = std::min<os::Nanos>(timeout / 1000000000, 1000000);
  relative.tv_nsec = timeout % 1000000000;
  syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, seen, &relative, nullptr, 0);
}

void Waker::Wake() {
  word_.fetch_add(1, std::memory_order_release);
  if (current != nullptr) {
    current->words_.push_back(&word_);
  } else {
    WakeSleeper(&word_);
  }
}

}  // namespace spoolrpc::wait
