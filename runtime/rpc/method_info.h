// What generated code knows about a method at compile time.
#ifndef SPOOLRPC_RPC_METHOD_INFO_H_
#define SPOOLRPC_RPC_METHOD_INFO_H_

#include <cstddef>
#include <cstdint>

namespace spoolrpc {

enum class MethodKind : uint8_t { kUnary, kClientStreaming, kServerStreaming, kBidiStreaming };

// protobuf's own `option idempotency_level`.
enum class Idempotency : uint8_t { kUnknown, kNoSideEffects, kIdempotent };

// Constant for the life of the process; generated as constexpr.
struct MethodInfo {
  // "/package.Service/Method".
  const char* full_name;
  MethodKind kind = MethodKind::kUnary;
  Idempotency idempotency = Idempotency::kUnknown;
  // From spoolrpc/options.proto, method over service, in nanoseconds; 0: not given.
  int64_t timeout_ns = 0;
  int64_t ack_timeout_ns = 0;
  bool ack_before_execution = false;
};

// Constant for the life of the process.
struct ServiceInfo {
  // "package.Service".
  const char* full_name;
  const MethodInfo* methods;
  size_t method_count;
  // XXH3-64 of the service's canonical description: its name and, for each method in the order of
  // declaration, name, kind, full names of request and reply, options and the shapes of the
  // messages. Equal fingerprints: the same schema.
  uint64_t fingerprint;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_RPC_METHOD_INFO_H_
