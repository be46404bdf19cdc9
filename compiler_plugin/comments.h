// Carries the comments of a .proto file into generated headers.
#ifndef SPOOLRPC_COMPILER_PLUGIN_COMMENTS_H_
#define SPOOLRPC_COMPILER_PLUGIN_COMMENTS_H_

#include <google/protobuf/descriptor.h>

#include <string>

#include "absl/strings/string_view.h"

namespace spoolrpc::compiler {

// `text` as lines that start with "//", each ending in a newline; empty for an empty text. No line
// of it can continue into the next one, end early or hide a line break.
std::string AsCppComment(absl::string_view text);

// What stands above a declaration: its leading comments, detached ones included, apart by an empty
// line.
std::string LeadingComments(const google::protobuf::SourceLocation& location);

// What stands behind a declaration, or behind the brace that opens it.
std::string TrailingComments(const google::protobuf::SourceLocation& location);

// The location of `descriptor`; without comments if protoc does not tell it.
template <class DescriptorType>
google::protobuf::SourceLocation LocationOf(const DescriptorType& descriptor) {
  google::protobuf::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return google::protobuf::SourceLocation();
  return location;
}

// The comments above the `syntax` statement, where a license usually stands.
std::string FileComments(const google::protobuf::FileDescriptor& file);

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_COMMENTS_H_
