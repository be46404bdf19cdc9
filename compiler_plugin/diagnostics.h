// Where in a .proto file something is wrong.
#ifndef SPOOLRPC_COMPILER_PLUGIN_DIAGNOSTICS_H_
#define SPOOLRPC_COMPILER_PLUGIN_DIAGNOSTICS_H_

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace spoolrpc::compiler {

// "FILE:LINE" of the element of `file` at `path` (see SourceCodeInfo.Location.path in
// google/protobuf/descriptor.proto) or, if protoc does not know that place, of the nearest element
// around it; "FILE" if it knows none.
std::string Place(const google::protobuf::FileDescriptor& file, const std::vector<int>& path);

// The paths of declarations.
std::vector<int> PathOf(const google::protobuf::ServiceDescriptor& service);
std::vector<int> PathOf(const google::protobuf::MethodDescriptor& method);

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_DIAGNOSTICS_H_
