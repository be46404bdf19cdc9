#include "spoolrpc/os/mapping_guard.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/base/attributes.h"
#include "absl/synchronization/mutex.h"

namespace spoolrpc::os {

// The handler reads these while other threads change them: an entry is never freed, only used
// again, and counts while `begin` is not 0.
struct MappingGuard::Entry {
  std::atomic<uintptr_t> begin{0};
  std::atomic<size_t> size{0};
  std::atomic<bool> lost{false};
  Entry* next = nullptr;  // set before the entry is published
  bool taken = false;     // under g_mu
};

// What the signal handler may touch.
struct GuardHandler {
  using Entry = MappingGuard::Entry;

  static void Install();
  static void OnSignal(int signal, siginfo_t* info, void* context);
  static Entry* Find(uintptr_t address);
  static bool Replace(Entry* entry);
  static void PassOn(int signal, siginfo_t* info, void* context);

  static std::atomic<Entry*> entries;
  static struct sigaction before;  // set before OnSignal() can be called
};

std::atomic<GuardHandler::Entry*> GuardHandler::entries{nullptr};
struct sigaction GuardHandler::before = {};

namespace {

ABSL_CONST_INIT absl::Mutex g_mu(absl::kConstInit);  // over making and giving back entries

}  // namespace

void GuardHandler::Install() {
  // (Two steps, so that the handler never sees half of `before`.)
  if (sigaction(SIGBUS, nullptr, &before) != 0) return;
  struct sigaction action = {};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

GuardHandler::Entry* GuardHandler::Find(uintptr_t address) {
  for (Entry* entry = entries.load(std::memory_order_acquire); entry != nullptr;
       entry = entry->next) {
    const uintptr_t begin = entry->begin.load(std::memory_order_acquire);
    if (begin == 0 || address < begin) continue;
    if (address - begin < entry->size.load(std::memory_order_relaxed)) return entry;
  }
  return nullptr;
}

bool GuardHandler::Replace(Entry* entry) {
  // One thread replaces it; others touch their page again until that is done.
  if (entry->lost.exchange(true, std::memory_order_acq_rel)) return true;
  // The system call itself: sanitizers do things in mmap() that no signal handler may.
  const long page = syscall(  // NOLINT(google-runtime-int): as it is declared
      SYS_mmap, entry->begin.load(std::memory_order_relaxed),
      entry->size.load(std::memory_order_relaxed), PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  return page != -1;
}

void GuardHandler::PassOn(int signal, siginfo_t* info, void* context) {
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
    return;
  }
  const bool sent = info->si_code <= 0;  // by kill() and the like, not by the kernel
  if (before.sa_handler == SIG_IGN && sent) return;
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
    return;
  }
  // As if there was no handler: the instruction is tried again and ends the process, at its place.
  struct sigaction none = {};
  none.sa_handler = SIG_DFL;
  sigaction(signal, &none, nullptr);
  if (sent) raise(signal);
}

void GuardHandler::OnSignal(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  Entry* const entry =
      info->si_code > 0 ? Find(reinterpret_cast<uintptr_t>(info->si_addr)) : nullptr;
  if (entry == nullptr || !Replace(entry)) PassOn(signal, info, context);
  errno = error;
}

MappingGuard::Entry* MappingGuard::TakeEntry() {
  absl::MutexLock lock(&g_mu);
  Entry* const first = GuardHandler::entries.load(std::memory_order_relaxed);
  if (first == nullptr) GuardHandler::Install();
  for (Entry* entry = first; entry != nullptr; entry = entry->next) {
    if (entry->taken) continue;
    entry->taken = true;
    return entry;
  }
  auto* const entry = new Entry;
  entry->taken = true;
  entry->next = first;
  GuardHandler::entries.store(entry, std::memory_order_release);
  return entry;
}

MappingGuard::MappingGuard(void* address, size_t size) : entry_(TakeEntry()) {
  entry_->lost.store(false, std::memory_order_relaxed);
  entry_->size.store(size, std::memory_order_relaxed);
  entry_->begin.store(reinterpret_cast<uintptr_t>(address), std::memory_order_release);
}

MappingGuard::~MappingGuard() {
  entry_->begin.store(0, std::memory_order_release);
  absl::MutexLock lock(&g_mu);
  entry_->taken = false;
}

bool MappingGuard::IsLost(const void* address) {
  const Entry* const entry = GuardHandler::Find(reinterpret_cast<uintptr_t>(address));
  return entry != nullptr && entry->lost.load(std::memory_order_acquire);
}

bool MappingGuard::lost() const { return entry_->lost.load(std::memory_order_acquire); }

}  // namespace spoolrpc::os
