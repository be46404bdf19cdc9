// Where objects are destroyed that must not be destroyed where their last reference goes: because
// that would wait for the very thread, or for a callback.
#ifndef SPOOLRPC_EXEC_REAPER_H_
#define SPOOLRPC_EXEC_REAPER_H_

#include <functional>

namespace spoolrpc::exec {

// The process's single thread for that: one thing after the other, in the order in which they were
// given. Thread-safe.
class Reaper {
 public:
  // Never waits for `destroy`, which may block; whatever comes later waits for it.
  static void Run(std::function<void()> destroy);
  // True: this is that thread.
  static bool OnThisThread();
};

}  // namespace spoolrpc::exec

#endif  // SPOOLRPC_EXEC_REAPER_H_
