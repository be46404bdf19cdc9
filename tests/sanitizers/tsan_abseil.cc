// Shows ThreadSanitizer what absl::Mutex and its kin order, though Debian's Abseil is not
// instrumented.
//
// ThreadSanitizer sees a lock only in code that was compiled with it (or through pthread's
// functions, which Abseil's mutex does not use). Without this file it would take every field under
// an absl::Mutex for a race, and to suppress that would be to suppress the real races too. So this
// file, linked into each binary of the `tsan` configuration
// (--custom_malloc in .bazelrc), defines the out-of-line functions of the mutex, the condition
// variable, the notification and the blocking counter once more: each tells ThreadSanitizer
// (release before, acquire after) and calls the one of the shared library. Abseil's own calls
// between its libraries come here as well.
//
// A Condition may be evaluated by any thread that holds the mutex, within Abseil; such readings are
// ignored, since the mutex is held but ThreadSanitizer cannot know by whom. What remains hidden is
// listed in tsan_suppressions.cc.

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/base/options.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

#include <sanitizer/tsan_interface.h>

extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
}

namespace {

#define SPOOLRPC_QUOTE_(x) #x
#define SPOOLRPC_QUOTE(x) SPOOLRPC_QUOTE_(x)

// The shared library's function of that mangled name: `start`, Abseil's namespace, `name`. A
// `start` of _ZNK is for const functions.
template <typename Function>
Function* Real(const char* name, const char* start = "_ZN") {
  const std::string space = SPOOLRPC_QUOTE(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string mangled = start + ("4absl" + std::to_string(space.size()) + space) + name;
  void* found = dlsym(RTLD_NEXT, mangled.c_str());
  if (found == nullptr) {
    std::fprintf(
        stderr, "tests/sanitizers/tsan_abseil.cc: no %s in the installed Abseil: adapt this file\n",
        mangled.c_str());
    std::abort();
  }
  return reinterpret_cast<Function*>(found);
}

// While one lives, this thread is within Abseil, which may evaluate others' Conditions.
class Within {
 public:
  Within() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~Within() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
};

// What this thread did so far is ordered before what the next one does that takes `object`.
void Give(const void* object) { __tsan_release(const_cast<void*>(object)); }
void Take(const void* object) { __tsan_acquire(const_cast<void*>(object)); }

// Calls `real` with the given arguments; `Result` is what it returns.
template <typename Result, typename... Arguments>
Result Call(Result (*real)(Arguments...), Arguments... arguments) {
  Within within;
  return real(arguments...);
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static auto* const real = Real<void(Mutex*)>("5Mutex4LockEv");
  Call(real, this);
  Take(this);
}

void Mutex::Unlock() {
  static auto* const real = Real<void(Mutex*)>("5Mutex6UnlockEv");
  Give(this);
  Call(real, this);
}

bool Mutex::TryLock() {
  static auto* const real = Real<bool(Mutex*)>("5Mutex7TryLockEv");
  const bool locked = Call(real, this);
  if (locked) Take(this);
  return locked;
}

void Mutex::ReaderLock() {
  static auto* const real = Real<void(Mutex*)>("5Mutex10ReaderLockEv");
  Call(real, this);
  Take(this);
}

void Mutex::ReaderUnlock() {
  static auto* const real = Real<void(Mutex*)>("5Mutex12ReaderUnlockEv");
  Give(this);
  Call(real, this);
}

bool Mutex::ReaderTryLock() {
  static auto* const real = Real<bool(Mutex*)>("5Mutex13ReaderTryLockEv");
  const bool locked = Call(real, this);
  if (locked) Take(this);
  return locked;
}

void Mutex::Await(const Condition& condition) {
  static auto* const real = Real<void(Mutex*, const Condition&)>("5Mutex5AwaitERKNS0_9ConditionE");
  Give(this);
  Call<void, Mutex*, const Condition&>(real, this, condition);
  Take(this);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Duration)>(
      "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  Give(this);
  const bool met = Call<bool, Mutex*, const Condition&, Duration>(real, this, condition, timeout);
  Take(this);
  return met;
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Time)>(
      "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  Give(this);
  const bool met = Call<bool, Mutex*, const Condition&, Time>(real, this, condition, deadline);
  Take(this);
  return met;
}

void Mutex::LockWhen(const Condition& condition) {
  static auto* const real =
      Real<void(Mutex*, const Condition&)>("5Mutex8LockWhenERKNS0_9ConditionE");
  Call<void, Mutex*, const Condition&>(real, this, condition);
  Take(this);
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Duration)>(
      "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  const bool met = Call<bool, Mutex*, const Condition&, Duration>(real, this, condition, timeout);
  Take(this);
  return met;
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Time)>(
      "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  const bool met = Call<bool, Mutex*, const Condition&, Time>(real, this, condition, deadline);
  Take(this);
  return met;
}

void Mutex::ReaderLockWhen(const Condition& condition) {
  static auto* const real =
      Real<void(Mutex*, const Condition&)>("5Mutex14ReaderLockWhenERKNS0_9ConditionE");
  Call<void, Mutex*, const Condition&>(real, this, condition);
  Take(this);
}

bool Mutex::ReaderLockWhenWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Duration)>(
      "5Mutex25ReaderLockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  const bool met = Call<bool, Mutex*, const Condition&, Duration>(real, this, condition, timeout);
  Take(this);
  return met;
}

bool Mutex::ReaderLockWhenWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Time)>(
      "5Mutex26ReaderLockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  const bool met = Call<bool, Mutex*, const Condition&, Time>(real, this, condition, deadline);
  Take(this);
  return met;
}

void CondVar::Wait(Mutex* mutex) {
  static auto* const real = Real<void(CondVar*, Mutex*)>("7CondVar4WaitEPNS0_5MutexE");
  Give(mutex);
  Call(real, this, mutex);
  Take(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static auto* const real = Real<bool(CondVar*, Mutex*, Duration)>(
      "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  Give(mutex);
  const bool late = Call(real, this, mutex, timeout);
  Take(mutex);
  return late;
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static auto* const real =
      Real<bool(CondVar*, Mutex*, Time)>("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  Give(mutex);
  const bool late = Call(real, this, mutex, deadline);
  Take(mutex);
  return late;
}

void Notification::Notify() {
  static auto* const real = Real<void(Notification*)>("12Notification6NotifyEv");
  // HasBeenNotified() is inline and reads this very flag.
  Give(&notified_yet_);
  Call(real, this);
}

void Notification::WaitForNotification() const {
  static auto* const real =
      Real<void(const Notification*)>("12Notification19WaitForNotificationEv", "_ZNK");
  Call(real, this);
  Take(&notified_yet_);
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static auto* const real = Real<bool(const Notification*, Duration)>(
      "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE", "_ZNK");
  const bool notified = Call(real, this, timeout);
  if (notified) Take(&notified_yet_);
  return notified;
}

bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  static auto* const real = Real<bool(const Notification*, Time)>(
      "12Notification31WaitForNotificationWithDeadlineENS0_4TimeE", "_ZNK");
  const bool notified = Call(real, this, deadline);
  if (notified) Take(&notified_yet_);
  return notified;
}

bool BlockingCounter::DecrementCount() {
  static auto* const real = Real<bool(BlockingCounter*)>("15BlockingCounter14DecrementCountEv");
  Give(this);
  return Call(real, this);
}

void BlockingCounter::Wait() {
  static auto* const real = Real<void(BlockingCounter*)>("15BlockingCounter4WaitEv");
  Call(real, this);
  Take(this);
}

ABSL_NAMESPACE_END
}  // namespace absl

#endif
#endif
