// What generated code includes: the seam to the runtime, and no more of it.
#ifndef SPOOLRPC_GENERATED_CODE_H_
#define SPOOLRPC_GENERATED_CODE_H_

// Before anything else: what follows does not compile as older C++, and says so at length. The
// second line ends the compilation here; it names no file.
#if __cplusplus < 201703L
#error "SpoolRPC needs C++17. Add to .bazelrc: build --cxxopt=-std=c++17 --host_cxxopt=-std=c++17"
#include "the #error above says what to add to .bazelrc"
#endif

#include <memory>

#include "absl/status/status.h"
#include "spoolrpc/client/channel_interface.h"
#include "spoolrpc/client/durable.h"
#include "spoolrpc/client/future.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/server/batch.h"
#include "spoolrpc/server/method_handler.h"
#include "spoolrpc/server/service.h"

#endif  // SPOOLRPC_GENERATED_CODE_H_
