// A child as the server sees it.
#ifndef SPOOLRPC_ISOLATION_CHILD_H_
#define SPOOLRPC_ISOLATION_CHILD_H_

#include <sys/types.h>

#include <optional>

#include "absl/time/time.h"
#include "spoolrpc/isolation/message_socket.h"

namespace spoolrpc::isolation {

class Nursery;

// For one thread at a time, except that another one may use reads(). When it is destroyed the child
// ends by itself, as soon as its handler returns.
class Child {
 public:
  // Takes the descriptors. The nursery must outlive the child.
  Child(Nursery* nursery, pid_t pid, int calls, int reads, int end);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  MessageSocket& calls() { return calls_; }
  MessageSocket& reads() { return reads_; }

  // Readable when the child has ended.
  int end_fd() const { return end_; }
  // Its wait status, once it has ended; waits for that, until `timeout`.
  std::optional<int> AwaitEnd(absl::Duration timeout);
  // kill -9; does not wait for the end, which a process that hangs in the kernel may not reach.
  void Kill();

 private:
  Nursery* const nursery_;
  const pid_t pid_;
  MessageSocket calls_;
  MessageSocket reads_;
  const int end_;
  std::optional<int> wait_status_;
};

}  // namespace spoolrpc::isolation

#endif  // SPOOLRPC_ISOLATION_CHILD_H_
