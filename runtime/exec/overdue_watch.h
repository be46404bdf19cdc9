// Notices work that takes longer than whoever waits behind it should bear.
#ifndef SPOOLRPC_EXEC_OVERDUE_WATCH_H_
#define SPOOLRPC_EXEC_OVERDUE_WATCH_H_

#include <atomic>
#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/exec/stall_check.h"
#include "spoolrpc/exec/ticker.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::exec {

// A thread that looks, every millisecond while there is work, whether a piece of it is overdue.
// Beginning and ending a piece costs a reading of the clock and some atomic operations.
// Thread-safe.
class OverdueWatch {
 public:
  // When a piece of work is overdue.
  enum class Overdue {
    kLate,   // it has taken a millisecond or two, and has not ended
    kStuck,  // and the thread is not merely waiting for a processor (stall_check.h)
  };

  // What one thread does, a piece after the other.
  class Work {
   public:
    // Of the calling thread. `on_overdue` is called on the watch's thread, at most once for each
    // piece, when that is overdue. Nothing is locked that others need but to construct and destroy
    // such objects; other pieces that are overdue wait for it.
    Work(OverdueWatch* watch, Overdue overdue, std::function<void()> on_overdue);
    // Waits for on_overdue, if that is being called. Not to be called by it.
    ~Work();
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

    void Begin() { watch_->Begin(this); }
    void End() { since_.store(0, std::memory_order_release); }

   private:
    friend class OverdueWatch;

    OverdueWatch* const watch_;
    const Overdue overdue_;
    const std::function<void()> on_overdue_;
    StallCheck stall_check_;           // the watch's
    std::atomic<os::Nanos> since_{0};  // 0: nothing is being done
    os::Nanos told_ = 0;               // the watch's: the since_ of the last piece that was overdue
  };

  OverdueWatch();
  OverdueWatch(const OverdueWatch&) = delete;
  OverdueWatch& operator=(const OverdueWatch&) = delete;

  // The process's. Never destroyed.
  static OverdueWatch* Shared();

 private:
  void Begin(Work* work);
  // True if anything is being done.
  bool Look() ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  std::vector<Work*> works_ ABSL_GUARDED_BY(mu_);
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  Ticker ticker_;  // ends first
};

}  // namespace spoolrpc::exec

#endif  // SPOOLRPC_EXEC_OVERDUE_WATCH_H_
