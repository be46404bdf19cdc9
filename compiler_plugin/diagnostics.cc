#include "compiler_plugin/diagnostics.h"

#include <google/protobuf/descriptor.pb.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace spoolrpc::compiler {

using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::ServiceDescriptorProto;
using google::protobuf::SourceCodeInfo;

std::string Place(const FileDescriptor& file, const std::vector<int>& path) {
  FileDescriptorProto proto;
  file.CopySourceCodeInfoTo(&proto);
  const SourceCodeInfo::Location* nearest = nullptr;
  size_t nearest_length = 0;
  // protoc records `option (o).timeout.seconds = 0` under its full path, but a braced value only
  // under the path of `(o)`: so the longest common prefix decides, and of equals the first.
  for (const SourceCodeInfo::Location& location : proto.source_code_info().location()) {
    const auto& other = location.path();
    const size_t length =
        std::mismatch(path.begin(), path.end(), other.begin(), other.end()).first - path.begin();
    if (length > nearest_length) {
      nearest = &location;
      nearest_length = length;
    }
  }
  if (nearest == nullptr) return file.name();
  return absl::StrCat(file.name(), ":", nearest->span(0) + 1);
}

std::vector<int> PathOf(const ServiceDescriptor& service) {
  return {FileDescriptorProto::kServiceFieldNumber, service.index()};
}

std::vector<int> PathOf(const MethodDescriptor& method) {
  std::vector<int> path = PathOf(*method.service());
  path.push_back(ServiceDescriptorProto::kMethodFieldNumber);
  path.push_back(method.index());
  return path;
}

}  // namespace spoolrpc::compiler
