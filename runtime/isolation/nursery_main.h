// The nursery's own process, and what it and the server say to each other.
#ifndef SPOOLRPC_ISOLATION_NURSERY_MAIN_H_
#define SPOOLRPC_ISOLATION_NURSERY_MAIN_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "spoolrpc/isolation/nursery.h"

namespace spoolrpc::isolation {

// A packet on the control socket, to the nursery.
struct NurseryRequest {
  uint32_t number;  // of a request for a child, which is answered; 0: kill
  pid_t pid;        // whom to kill
};

// Back; when `error` is 0 with kChildDescriptors descriptors: the child's two sockets, and a pipe
// on which comes the child's wait status (an int) when it has ended.
struct NurseryAnswer {
  uint32_t number;
  int32_t error;  // errno
  pid_t pid;
};
constexpr int kChildDescriptors = 3;

// Serves `control` until it closes; never returns. The process must have no other thread.
[[noreturn]] void RunNursery(int control, const std::vector<HandlerEntry>& handlers);

}  // namespace spoolrpc::isolation

#endif  // SPOOLRPC_ISOLATION_NURSERY_MAIN_H_
