// Reads what a .proto file says through spoolrpc/options.proto and protobuf's own options.
#ifndef SPOOLRPC_COMPILER_PLUGIN_ANNOTATIONS_H_
#define SPOOLRPC_COMPILER_PLUGIN_ANNOTATIONS_H_

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace spoolrpc::compiler {

// See MethodOptions in spoolrpc/options.proto, and MethodInfo in runtime/rpc/method_info.h, which
// has the same.
struct BatchAnnotation {
  int32_t max_size = 0;  // 0: not given.
  int64_t max_delay_ns = 0;
};

struct RetryAnnotation {
  int32_t max_attempts = 0;  // 0: not given; otherwise all is, defaults included.
  int64_t initial_backoff_ns = 0;
  int64_t max_backoff_ns = 0;
  double backoff_multiplier = 0;
  uint32_t retryable_codes = 0;
};

struct HedgingAnnotation {
  int32_t max_attempts = 0;  // 0: not given; otherwise all is, defaults included.
  int64_t delay_ns = 0;
  uint32_t non_fatal_codes = 0;
};

// The options of a method, those of its service taken into account.
struct MethodAnnotations {
  int64_t timeout_ns = 0;      // 0: not given.
  int64_t ack_timeout_ns = 0;  // 0: not given.
  bool ack_before_execution = false;
  int32_t concurrency = 0;  // 0: not given.
  int execution = 0;        // The numbers of the enumerators.
  int isolation = 0;
  int compression = 0;
  BatchAnnotation batch;
  RetryAnnotation retry;
  HedgingAnnotation hedging;
};

// The annotations of all methods of one file.
class Annotations {
 public:
  // Appends a line "FILE:LINE: what is wrong and what to do" to `errors` for each bad annotation.
  Annotations(const google::protobuf::FileDescriptor& file, std::vector<std::string>* errors);

  // `method` must be of the file.
  const MethodAnnotations& Of(const google::protobuf::MethodDescriptor& method) const {
    return methods_.at(&method);
  }

 private:
  std::map<const google::protobuf::MethodDescriptor*, MethodAnnotations> methods_;
};

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_ANNOTATIONS_H_
