// Methods that are called, or served, without generated code: what else their IDL would say.
#ifndef SPOOLRPC_RPC_RAW_METHOD_H_
#define SPOOLRPC_RPC_RAW_METHOD_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "spoolrpc/rpc/method_info.h"

namespace spoolrpc {

// As the options of the same names in spoolrpc/options.proto and protobuf's own. Each side states
// its own; what does not concern it is not looked at.
struct RawMethodOptions {
  Idempotency idempotency = Idempotency::kUnknown;
  // Zero: not given.
  absl::Duration timeout = absl::ZeroDuration();
  absl::Duration ack_timeout = absl::ZeroDuration();
  bool ack_before_execution = false;
  int concurrency = 0;  // 0: the server's workers
  Execution execution = Execution::kWorkers;
  Compression compression = Compression::kDefault;
};

namespace rpc {

// The unary method of that name ("/package.Service/Method") and these options. It lives as long as
// the process, and is the same one each time: so a program should not make up names without end.
// INVALID_ARGUMENT for a name that does not look so, or options that make no sense. Thread-safe.
absl::StatusOr<const MethodInfo*> RawMethod(absl::string_view full_name,
                                            const RawMethodOptions& options);

}  // namespace rpc
}  // namespace spoolrpc

#endif  // SPOOLRPC_RPC_RAW_METHOD_H_
