// Calls that a handler makes on behalf of the call that it serves.
#ifndef SPOOLRPC_NESTED_CALL_H_
#define SPOOLRPC_NESTED_CALL_H_

#include <memory>

#include "spoolrpc/client/client_context.h"
#include "spoolrpc/server/server_context.h"

namespace spoolrpc {

// A context for a call that is over when the one that `context` belongs to is: it has its deadline,
// and is cancelled with it. (As grpc::ClientContext::FromServerContext().) The handler must not
// return, and a reactor not reach its OnDone(), before the context is destroyed.
std::unique_ptr<ClientContext> NestedCallContext(ServerContext* context);

}  // namespace spoolrpc

#endif  // SPOOLRPC_NESTED_CALL_H_
