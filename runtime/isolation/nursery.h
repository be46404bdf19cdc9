// Where a server's children come from.
//
// A process that has threads must not fork and go on in the child: locks that another thread held
// stay locked there. So the server forks the *nursery* before it starts any thread. The nursery has
// none itself, and forks a child whenever the server asks for one, with the program's state as it
// was when the server was built.
//
//   server --control socket-- nursery --fork--> child --two sockets-- server
//
// The nursery waits for its children, tells how each one ended, and kills what a child leaves in
// its process group. Nobody is left behind: the nursery ends when the control socket closes,
// however the server ended, and the kernel kills the children with the nursery.
#ifndef SPOOLRPC_ISOLATION_NURSERY_H_
#define SPOOLRPC_ISOLATION_NURSERY_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/isolation/child.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/server/method_handler.h"

namespace spoolrpc::isolation {

// What a child can run. Handlers are told by their index.
struct HandlerEntry {
  const MethodInfo* info;
  const MethodHandler* handler;
};

// Thread-safe.
class Nursery {
 public:
  // Forks. FAILED_PRECONDITION if the process has threads already.
  static absl::StatusOr<std::unique_ptr<Nursery>> Start(std::vector<HandlerEntry> handlers);
  // Ends the nursery, and with it all children.
  ~Nursery();
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  // A new child. Blocks while it is forked (well below a millisecond). RESOURCE_EXHAUSTED if the
  // system allows no more processes, UNAVAILABLE if the nursery has ended.
  absl::StatusOr<std::unique_ptr<Child>> NewChild() ABSL_LOCKS_EXCLUDED(mu_);
  // kill -9, with all that the child has started in its process group. Does not wait for the end.
  void Kill(pid_t child);

  pid_t pid() const { return pid_; }

 private:
  Nursery(pid_t pid, int control) : pid_(pid), control_(control) {}

  const pid_t pid_;
  const int control_;
  absl::Mutex mu_;
  uint32_t last_request_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace spoolrpc::isolation

#endif  // SPOOLRPC_ISOLATION_NURSERY_H_
