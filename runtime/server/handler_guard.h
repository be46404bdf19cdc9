// What a user's handler throws becomes the status of its call.
#ifndef SPOOLRPC_SERVER_HANDLER_GUARD_H_
#define SPOOLRPC_SERVER_HANDLER_GUARD_H_

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace spoolrpc::server {

// What `body` returns, on this thread; if it throws: UNKNOWN, which names `method` and has an
// ExceptionInfo. `*threw` says which it was.
absl::Status RunGuarded(const std::string& method, const std::function<absl::Status()>& body,
                        bool* threw = nullptr);

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_HANDLER_GUARD_H_
