// Deadlines of which hardly any comes: of calls that end long before.
#ifndef SPOOLRPC_EXEC_DEADLINE_SET_H_
#define SPOOLRPC_EXEC_DEADLINE_SET_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::exec {

// Adding and removing one costs a lock, and only one that is earlier than all others more. When the
// earliest comes, all are looked at, but at most once a millisecond. Thread-safe.
class DeadlineSet {
 public:
  // What has a deadline. Must not be destroyed while it is in the set.
  class Entry {
   public:
    // Its deadline has come, and it is no longer in the set. Called on the timers' thread, which
    // others wait for, under the set's lock: must not use the set.
    virtual void OnDue() = 0;

   protected:
    Entry() = default;
    ~Entry() = default;

   private:
    friend class DeadlineSet;

    os::Nanos when_ = 0;
    Entry* before_ = nullptr;  // null: not in the set
    Entry* after_ = nullptr;
  };

  // Both must outlive it.
  DeadlineSet(const os::Clock* clock, TimerQueue* timers);
  ~DeadlineSet();
  DeadlineSet(const DeadlineSet&) = delete;
  DeadlineSet& operator=(const DeadlineSet&) = delete;

  // The entry must not be there. One without a deadline (os::kNever) may be added.
  void Add(Entry* entry, os::Nanos when) ABSL_LOCKS_EXCLUDED(mu_);
  // Nothing if it is not there. Afterwards OnDue() is not being called either.
  void Remove(Entry* entry) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class Ring : public Entry {
    void OnDue() override {}
  };

  void Look() ABSL_LOCKS_EXCLUDED(mu_);
  void SetTimer(os::Nanos when) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Unlink(Entry* entry);

  const os::Clock* const clock_;
  TimerQueue* const timers_;
  absl::Mutex mu_;
  Ring ring_ ABSL_GUARDED_BY(mu_);
  TimerQueue::Id timer_ ABSL_GUARDED_BY(mu_) = 0;  // of the next Look(); 0: there will be none
  os::Nanos timer_at_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace spoolrpc::exec

#endif  // SPOOLRPC_EXEC_DEADLINE_SET_H_
