// What generated code knows about a method at compile time.
#ifndef SPOOLRPC_RPC_METHOD_INFO_H_
#define SPOOLRPC_RPC_METHOD_INFO_H_

#include <cstddef>
#include <cstdint>

namespace spoolrpc {

enum class MethodKind : uint8_t { kUnary, kClientStreaming, kServerStreaming, kBidiStreaming };

// protobuf's own `option idempotency_level`.
enum class Idempotency : uint8_t { kUnknown, kNoSideEffects, kIdempotent };

// Where the server runs the handler.
enum class Execution : uint8_t { kWorkers, kInline };

enum class Isolation : uint8_t { kNone, kProcess };

enum class Compression : uint8_t { kDefault, kNone, kZstd };

// Bit n: the status code n.
using StatusCodeBits = uint32_t;

// max_size 0: no batches.
struct BatchSpec {
  int32_t max_size = 0;
  int64_t max_delay_ns = 0;  // 0: a batch is what is there
};

// max_attempts 0: no retries; otherwise all is given, defaults included.
struct RetrySpec {
  int32_t max_attempts = 0;  // the first included
  int64_t initial_backoff_ns = 0;
  int64_t max_backoff_ns = 0;
  double backoff_multiplier = 0;
  StatusCodeBits retryable_codes = 0;
};

// max_attempts 0: no hedging; otherwise all is given, defaults included.
struct HedgingSpec {
  int32_t max_attempts = 0;  // the first included
  int64_t delay_ns = 0;      // 0: at once
  StatusCodeBits non_fatal_codes = 0;
};

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
  int32_t concurrency = 0;  // 0: the server's workers
  Execution execution = Execution::kWorkers;
  Isolation isolation = Isolation::kNone;
  Compression compression = Compression::kDefault;
  BatchSpec batch = {};
  RetrySpec retry = {};
  HedgingSpec hedging = {};
  // "package.Message", of one message if they stream; empty: not known, and so not compared.
  const char* request_type = "";
  const char* response_type = "";
  // XXH3-64 of the method's canonical description (docs/generated_code.md, section 5); 0: not
  // known, and so not compared.
  uint64_t fingerprint = 0;
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
