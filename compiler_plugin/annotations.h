// Reads what a .proto file says through spoolrpc/options.proto and protobuf's own options.
#ifndef SPOOLRPC_COMPILER_PLUGIN_ANNOTATIONS_H_
#define SPOOLRPC_COMPILER_PLUGIN_ANNOTATIONS_H_

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace spoolrpc::compiler {

// The options of a method, those of its service taken into account.
struct MethodAnnotations {
  int64_t timeout_ns = 0;      // 0: not given.
  int64_t ack_timeout_ns = 0;  // 0: not given.
  bool ack_before_execution = false;
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
