// A thread that sleeps until another one of its process wakes it, without a lock between the two.
#ifndef SPOOLRPC_WAIT_WAKER_H_
#define SPOOLRPC_WAIT_WAKER_H_

#include <atomic>
#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::wait {

// A futex. One thread sleeps at a time; any thread wakes.
class Waker {
 public:
  // While one lives, what its thread wakes is woken when it ends, when no lock is held any more
  // that the others would want at once.
  class Scope {
   public:
    Scope();
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    friend class Waker;
    absl::InlinedVector<const std::atomic<uint32_t>*, 4> words_;
    Scope* const outer_;
  };

  // To be read before the look at what the sleeper waits for.
  uint32_t word() const { return word_.load(std::memory_order_acquire); }
  // Sleeps until Wake() has been called since word() was `seen`, or `timeout` has passed, or for no
  // reason.
  void Sleep(uint32_t seen, os::Nanos timeout);
  // The sleeper may be gone, and this with it, as soon as it can see that it need not wait: this is
  // called before that can be seen, and afterwards only the address is used.
  void Wake();

 private:
  std::atomic<uint32_t> word_{0};
};

}  // namespace spoolrpc::wait

#endif  // SPOOLRPC_WAIT_WAKER_H_
