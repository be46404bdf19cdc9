// The threads that touch files where touching a file may block (network file systems): some write,
// some poll; no caller and no handler ever does.
#ifndef SPOOLRPC_LINK_IO_THREADS_H_
#define SPOOLRPC_LINK_IO_THREADS_H_

#include <deque>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/link/session_link.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/wait/doorbell.h"

namespace spoolrpc::link {

// Writes links out, each on one thread at a time. Thread-safe.
class FlusherThreads final : public Flusher {
 public:
  explicit FlusherThreads(int threads);
  // Writes what was scheduled, then ends; waits for a file operation that blocks.
  ~FlusherThreads() override;

  void Schedule(std::shared_ptr<SessionLink> link) override;

 private:
  void Run();

  absl::Mutex mu_;
  std::deque<std::shared_ptr<SessionLink>> queue_ ABSL_GUARDED_BY(mu_);
  std::set<SessionLink*> queued_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

// Something that wants to look at a file now and then.
class Pollable {
 public:
  virtual ~Pollable() = default;
  // Looks, and returns when to look next by the environment's clock; kNever: only after Wake().
  // A negative time: never again, forget it.
  virtual os::Nanos Look(log::AlignedBuffer* buffer) = 0;
};

// Lets pollables look when they are due. Each belongs to one thread. Thread-safe.
class PollerThreads {
 public:
  PollerThreads(const os::Clock* clock, int threads);
  ~PollerThreads() { Stop(); }

  // Ends the threads, waits for looks that are under way, and lets go of the pollables. For one
  // thread.
  void Stop();

  void Add(std::shared_ptr<Pollable> pollable);
  // Makes it, or all of them, due now.
  void Wake(Pollable* pollable);
  void Wake(const std::vector<Pollable*>& pollables);

 private:
  struct Entry {
    std::shared_ptr<Pollable> pollable;
    os::Nanos due;
    bool woken = false;
  };
  struct Shard {
    absl::Mutex mu;
    // Only the shard's own thread removes any.
    std::vector<Entry> entries ABSL_GUARDED_BY(mu);
    bool stopping ABSL_GUARDED_BY(mu) = false;
    std::unique_ptr<wait::Doorbell> bell = wait::Doorbell::InMemory(1);
    std::thread thread;
  };

  void WakeWhere(absl::FunctionRef<bool(Pollable*)> wanted);
  void Run(Shard* shard);

  const os::Clock* const clock_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<size_t> next_{0};
};

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_IO_THREADS_H_
