// Commits the error that it is asked for, so that planted_test can show that the sanitizers of this
// build find it.
//
//   planted race | mutex | overflow | leak | shift | list
//
// `mutex` is no error: two threads that count under an absl::Mutex. `list` prints the sanitizers of
// this build.

#include <sys/types.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "absl/synchronization/mutex.h"

#if !defined(__has_feature)
#define __has_feature(x) 0
#endif

namespace {

// The optimiser must not see what becomes of these.
volatile int sink = 0;
int shared_count = 0;

void Race() {
  std::thread other([] { ++shared_count; });
  ++shared_count;
  other.join();
  sink = shared_count;
}

class Counter {
 public:
  void Add() {
    absl::MutexLock lock(&mutex_);
    ++count_;
  }
  // Waits until `count` were added.
  int Await(int count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, count]()
                            ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return count_ >= count; };
    mutex_.Await(absl::Condition(&enough));
    return count_;
  }

 private:
  absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

void UnderMutex() {
  constexpr int kEach = 1000;
  Counter counter;
  const auto add = [&counter] {
    for (int i = 0; i < kEach; ++i) counter.Add();
  };
  std::thread one(add);
  std::thread two(add);
  sink = counter.Await(2 * kEach);
  one.join();
  two.join();
}

void Overflow(const char* text) {
  char* copy = static_cast<char*>(std::malloc(std::strlen(text)));
  std::strcpy(copy, text);
  sink = copy[0];
  std::free(copy);
}

void Leak(const char* text) {
  char* copy = strdup(text);
  sink = copy[0];
  copy = nullptr;
}

void Shift(const char* text) {
  const int bits = static_cast<int>(std::strlen(text)) + 100;
  sink = 1 << bits;
}

void List() {
  if (__has_feature(thread_sanitizer)) std::puts("thread");
  if (__has_feature(address_sanitizer)) std::puts("address");
  if (__has_feature(undefined_behavior_sanitizer)) std::puts("undefined");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 2 ? argv[1] : "";
  if (what == "race") {
    Race();
  } else if (what == "mutex") {
    UnderMutex();
  } else if (what == "overflow") {
    Overflow(argv[1]);
  } else if (what == "leak") {
    Leak(argv[1]);
  } else if (what == "shift") {
    Shift(argv[1]);
  } else if (what == "list") {
    List();
  } else {
    std::fprintf(stderr, "usage: planted race|mutex|overflow|leak|shift|list\n");
    return 64;
  }
  return 0;
}
