// A method's handler that runs in child processes.
#ifndef SPOOLRPC_ISOLATION_ISOLATED_HANDLER_H_
#define SPOOLRPC_ISOLATION_ISOLATED_HANDLER_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "spoolrpc/isolation/nursery.h"
#include "spoolrpc/server/method_handler.h"

namespace spoolrpc::isolation {

// Told when a handler has thrown, or its process has ended. Thread-safe.
using FailureFn = std::function<void(const absl::Status&)>;

// Runs the nursery's handler of this index in at most `processes` children. A call that is
// cancelled, or whose deadline passes, has its child killed; a child that ends by itself costs its
// call, which ends with INTERNAL and says how. `nursery` and `inner` must outlive the handler.
std::unique_ptr<MethodHandler> IsolateHandler(Nursery* nursery, uint32_t index,
                                              const HandlerEntry& inner, int processes,
                                              FailureFn on_failure);

}  // namespace spoolrpc::isolation

#endif  // SPOOLRPC_ISOLATION_ISOLATED_HANDLER_H_
