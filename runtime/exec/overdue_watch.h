// Notices work that takes longer than whoever waits behind it should bear.
#ifndef SPOOLRPC_EXEC_OVERDUE_WATCH_H_
#define SPOOLRPC_EXEC_OVERDUE_WATCH_H_

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::exec {

// A thread that looks, every millisecond while there is work, whether a piece of it is overdue.
// Beginning and ending a piece costs a reading of the clock and some atomic operations.
// Thread-safe.
class OverdueWatch {
 public:
  // What one thread does, a piece after the other.
  class Work {
   public:
    // `on_overdue` is called on the watch's thread, at most once for each piece, when that has
    // taken a millisecond or two and has not ended. Nothing is locked that others need but to
    // construct and destroy such objects; other pieces that are overdue wait for it.
    Work(OverdueWatch* watch, std::function<void()> on_overdue);
    // Waits for on_overdue, if that is being called. Not to be called by it.
    ~Work();
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

    void Begin() { watch_->Begin(this); }
    void End() { since_.store(0, std::memory_order_release); }

   private:
    friend class OverdueWatch;

    OverdueWatch* const watch_;
    const std::function<void()> on_overdue_;
    std::atomic<os::Nanos> since_{0};  // 0: nothing is being done
    os::Nanos told_ = 0;               // the watch's: the since_ of the last piece that was overdue
  };

  OverdueWatch() = default;
  ~OverdueWatch();
  OverdueWatch(const OverdueWatch&) = delete;
  OverdueWatch& operator=(const OverdueWatch&) = delete;

  // The process's. Never destroyed.
  static OverdueWatch* Shared();

 private:
  void Begin(Work* work);
  void Run() ABSL_LOCKS_EXCLUDED(mu_, wake_mu_);
  // True if anything was being done, or was done since the last look.
  bool Look() ABSL_LOCKS_EXCLUDED(mu_);

  std::atomic<bool> asleep_{false};
  std::atomic<uint64_t> begun_{0};
  uint64_t begun_seen_ = 0;  // the thread's

  absl::Mutex mu_;
  std::vector<Work*> works_ ABSL_GUARDED_BY(mu_);
  std::thread thread_ ABSL_GUARDED_BY(mu_);

  absl::Mutex wake_mu_;
  absl::CondVar wake_;
  std::atomic<bool> stopping_{false};
};

}  // namespace spoolrpc::exec

#endif  // SPOOLRPC_EXEC_OVERDUE_WATCH_H_
