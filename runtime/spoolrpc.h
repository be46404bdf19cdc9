// The one header that a program needs beside its generated one.
#ifndef SPOOLRPC_SPOOLRPC_H_
#define SPOOLRPC_SPOOLRPC_H_

#include "spoolrpc/generated_code.h"
// Keep generated_code.h first: it says what to do where C++17 is missing.
#include "spoolrpc/client/channel.h"
#include "spoolrpc/client/client_context.h"
#include "spoolrpc/client/client_interceptor.h"
#include "spoolrpc/client/generic_stub.h"
#include "spoolrpc/interceptors/logging_interceptor.h"
#include "spoolrpc/interceptors/metrics_interceptor.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/nested_call.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/rpc/log_sink.h"
#include "spoolrpc/server/server.h"
#include "spoolrpc/server/server_builder.h"
#include "spoolrpc/server/server_context.h"
#include "spoolrpc/server/server_interceptor.h"
#include "spoolrpc/spool/query.h"

#endif  // SPOOLRPC_SPOOLRPC_H_
