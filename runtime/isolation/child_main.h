// A child's own process: runs the handlers of isolated methods, one call after the other.
#ifndef SPOOLRPC_ISOLATION_CHILD_MAIN_H_
#define SPOOLRPC_ISOLATION_CHILD_MAIN_H_

#include <vector>

#include "spoolrpc/isolation/nursery.h"

namespace spoolrpc::isolation {

// Serves calls that come over the socket `calls` until it closes; handlers read the messages of
// their streams over `reads`. Never returns.
[[noreturn]] void RunChild(int calls, int reads, const std::vector<HandlerEntry>& handlers);

}  // namespace spoolrpc::isolation

#endif  // SPOOLRPC_ISOLATION_CHILD_MAIN_H_
