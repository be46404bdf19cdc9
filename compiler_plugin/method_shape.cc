#include "compiler_plugin/method_shape.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace spoolrpc::compiler {

const MethodShape& ShapeOf(const google::protobuf::MethodDescriptor& method) {
  static const auto* const kUnary = new MethodShape{
      "kUnary",
      /*supported=*/true,
      /*stub_result=*/"::absl::Status",
      /*stub_parameters=*/
      {{"::spoolrpc::ClientContext*", "context"},
       {"const $request$&", "request"},
       {"$response$*", "response"}},
      /*stub_body=*/"return channel_->BlockingUnaryCall($info$, context, request, response);",
      /*service_parameters=*/
      {{"::spoolrpc::ServerContext*", "context"},
       {"const $request$*", "request"},
       {"$response$*", "response"}},
      /*handler=*/"::spoolrpc::UnaryMethodHandler",
  };
  static const auto* const kClientStreaming = new MethodShape{"kClientStreaming"};
  static const auto* const kServerStreaming = new MethodShape{"kServerStreaming"};
  static const auto* const kBidiStreaming = new MethodShape{"kBidiStreaming"};
  if (method.client_streaming()) {
    return method.server_streaming() ? *kBidiStreaming : *kClientStreaming;
  }
  return method.server_streaming() ? *kServerStreaming : *kUnary;
}

std::string NamedParameters(const std::vector<ShapeParameter>& parameters) {
  return absl::StrJoin(parameters, ", ", [](std::string* out, const ShapeParameter& parameter) {
    absl::StrAppend(out, parameter.type, " ", parameter.name);
  });
}

std::string UnnamedParameters(const std::vector<ShapeParameter>& parameters) {
  return absl::StrJoin(parameters, ", ", [](std::string* out, const ShapeParameter& parameter) {
    absl::StrAppend(out, parameter.type);
  });
}

}  // namespace spoolrpc::compiler
