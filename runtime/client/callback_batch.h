// What programs are told on a thread of the runtime, gathered while a log is read, and told
// together.
#ifndef SPOOLRPC_CLIENT_CALLBACK_BATCH_H_
#define SPOOLRPC_CLIENT_CALLBACK_BATCH_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/exec/overdue_watch.h"

namespace spoolrpc::client {

// A call that has something to tell.
class CallbackSource {
 public:
  virtual ~CallbackSource() = default;
  // Tells it: runs the program's callbacks.
  virtual void RunCallbacks() = 0;
};

// Sources, to be run once each, in order. Thread-safe.
class CallbackBatch {
 public:
  explicit CallbackBatch(std::vector<std::shared_ptr<CallbackSource>> sources)
      : sources_(std::move(sources)) {}

  // Runs what no other thread has taken yet; what its callbacks send goes out together. Tells
  // `work` (null: nobody) of every few sources that it begins.
  void Run(exec::OverdueWatch::Work* work) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::shared_ptr<CallbackSource> Next() ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  std::vector<std::shared_ptr<CallbackSource>> sources_ ABSL_GUARDED_BY(mu_);
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;
};

// While one lives, its thread gathers what is to be run.
class CallbackCollector {
 public:
  CallbackCollector();
  ~CallbackCollector();
  CallbackCollector(const CallbackCollector&) = delete;
  CallbackCollector& operator=(const CallbackCollector&) = delete;

  std::vector<std::shared_ptr<CallbackSource>> Take() { return std::move(sources_); }

 private:
  friend void RunCallbacksSoon(std::shared_ptr<CallbackSource> source);

  std::vector<std::shared_ptr<CallbackSource>> sources_;
  CallbackCollector* const outer_;
};

// Has source->RunCallbacks() called: by whoever takes what this thread gathers, or else by a thread
// of the runtime.
void RunCallbacksSoon(std::shared_ptr<CallbackSource> source);

// The same for all that was gathered, one after the other, by a thread of the runtime; by several,
// if a callback takes long.
void RunCallbacksSoon(std::vector<std::shared_ptr<CallbackSource>> sources);

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_CALLBACK_BATCH_H_
