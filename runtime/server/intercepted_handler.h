// A method's handler behind the server's interceptors.
#ifndef SPOOLRPC_SERVER_INTERCEPTED_HANDLER_H_
#define SPOOLRPC_SERVER_INTERCEPTED_HANDLER_H_

#include <memory>
#include <vector>

#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/server/method_handler.h"
#include "spoolrpc/server/server_interceptor.h"

namespace spoolrpc::server {

using InterceptorFactories = std::vector<std::shared_ptr<ServerInterceptorFactory>>;

// What comes meets the first interceptor first, what goes the last one. `handler` and `method` must
// outlive it. Thread-safe.
std::unique_ptr<MethodHandler> Intercept(const MethodHandler* handler, const MethodInfo* method,
                                         InterceptorFactories factories);

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_INTERCEPTED_HANDLER_H_
