#include "compiler_plugin/comments.h"

#include <google/protobuf/descriptor.pb.h>

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::SourceLocation;

std::string AsCppCommentLine(absl::string_view line) {
  std::string text(line);
  for (char& c : text) {
    // A lone carriage return ends a line for some compilers; other control characters confuse.
    if (absl::ascii_iscntrl(c)) c = ' ';
  }
  absl::StripTrailingAsciiWhitespace(&text);
  if (text.empty()) return "//\n";
  // A backslash at the end (or its trigraph) would make the next line part of the comment.
  if (absl::EndsWith(text, "\\") || absl::EndsWith(text, "?\?/")) text += " .";
  return absl::StrCat(text[0] == ' ' ? "//" : "// ", text, "\n");
}

}  // namespace

std::string AsCppComment(absl::string_view text) {
  if (text.empty()) return "";
  std::string comment;
  for (absl::string_view line : absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
    comment += AsCppCommentLine(line);
  }
  return comment;
}

std::string LeadingComments(const SourceLocation& location) {
  std::string comments;
  for (const std::string& detached : location.leading_detached_comments) {
    absl::StrAppend(&comments, AsCppComment(detached), "\n");
  }
  return absl::StrCat(comments, AsCppComment(location.leading_comments));
}

std::string TrailingComments(const SourceLocation& location) {
  return AsCppComment(location.trailing_comments);
}

std::string FileComments(const FileDescriptor& file) {
  SourceLocation location;
  const std::vector<int> syntax = {FileDescriptorProto::kSyntaxFieldNumber};
  if (!file.GetSourceLocation(syntax, &location)) return "";
  return LeadingComments(location);
}

}  // namespace spoolrpc::compiler
