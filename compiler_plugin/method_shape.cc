#include "compiler_plugin/method_shape.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace spoolrpc::compiler {
namespace {

constexpr ShapeParameter kClientContext = {"::spoolrpc::ClientContext*", "context"};
constexpr ShapeParameter kServerContext = {"::spoolrpc::ServerContext*", "context"};
constexpr ShapeParameter kCallbackContext = {"::spoolrpc::CallbackServerContext*", "context"};
constexpr ShapeParameter kRequestReference = {"const $request$&", "request"};
constexpr ShapeParameter kRequest = {"const $request$*", "request"};
constexpr ShapeParameter kResponse = {"$response$*", "response"};

MethodShape Unary() {
  return {
      "kUnary",
      /*stream_class=*/"",
      /*stream_types=*/"",
      /*stub_parameters=*/{kClientContext, kRequestReference, kResponse},
      /*stub_call=*/"channel_->BlockingUnaryCall($info$, context, request, response)",
      /*async=*/
      {{{kClientContext,
         kRequest,
         kResponse,
         {"::std::function<void(::absl::Status)>", "done", /*unnamed_in_declaration=*/true}},
        "channel_->StartUnaryCall($info$, context, request, response, "
        "::std::move(done))"},
       {{kClientContext, kRequest, kResponse, {"::spoolrpc::ClientUnaryReactor*", "reactor"}},
        "channel_->PrepareCall($info$, context, request, response, reactor)"}},
      /*service_parameters=*/{kServerContext, kRequest, kResponse},
      /*handler=*/"::spoolrpc::UnaryMethodHandler",
      /*reactor=*/"::spoolrpc::ServerUnaryReactor",
      /*callback_parameters=*/{kCallbackContext, kRequest, kResponse},
  };
}

MethodShape ClientStreaming() {
  return {
      "kClientStreaming",
      /*stream_class=*/"::spoolrpc::ClientWriter",
      /*stream_types=*/"<$request$>",
      /*stub_parameters=*/{kClientContext, kResponse},
      /*stub_call=*/"channel_->StartStream($info$, context, nullptr, response)",
      /*async=*/
      {{{kClientContext, kResponse, {"::spoolrpc::ClientWriteReactor<$request$>*", "reactor"}},
        "channel_->PrepareCall($info$, context, nullptr, response, reactor)"}},
      /*service_parameters=*/
      {kServerContext, {"::spoolrpc::ServerReader<$request$>*", "reader"}, kResponse},
      /*handler=*/"::spoolrpc::ClientStreamingMethodHandler",
      /*reactor=*/"::spoolrpc::ServerReadReactor<$request$>",
      /*callback_parameters=*/{kCallbackContext, kResponse},
  };
}

MethodShape ServerStreaming() {
  return {
      "kServerStreaming",
      /*stream_class=*/"::spoolrpc::ClientReader",
      /*stream_types=*/"<$response$>",
      /*stub_parameters=*/{kClientContext, kRequestReference},
      /*stub_call=*/"channel_->StartStream($info$, context, &request, nullptr)",
      /*async=*/
      {{{kClientContext, kRequest, {"::spoolrpc::ClientReadReactor<$response$>*", "reactor"}},
        "channel_->PrepareCall($info$, context, request, nullptr, reactor)"}},
      /*service_parameters=*/
      {kServerContext, kRequest, {"::spoolrpc::ServerWriter<$response$>*", "writer"}},
      /*handler=*/"::spoolrpc::ServerStreamingMethodHandler",
      /*reactor=*/"::spoolrpc::ServerWriteReactor<$response$>",
      /*callback_parameters=*/{kCallbackContext, kRequest},
  };
}

MethodShape BidiStreaming() {
  return {
      "kBidiStreaming",
      /*stream_class=*/"::spoolrpc::ClientReaderWriter",
      /*stream_types=*/"<$request$, $response$>",
      /*stub_parameters=*/{kClientContext},
      /*stub_call=*/"channel_->StartStream($info$, context, nullptr, nullptr)",
      /*async=*/
      {{{kClientContext, {"::spoolrpc::ClientBidiReactor<$request$, $response$>*", "reactor"}},
        "channel_->PrepareCall($info$, context, nullptr, nullptr, reactor)"}},
      /*service_parameters=*/
      {kServerContext, {"::spoolrpc::ServerReaderWriter<$response$, $request$>*", "stream"}},
      /*handler=*/"::spoolrpc::BidiStreamingMethodHandler",
      /*reactor=*/"::spoolrpc::ServerBidiReactor<$request$, $response$>",
      /*callback_parameters=*/{kCallbackContext},
  };
}

template <class Format>
std::string Join(const std::vector<ShapeParameter>& parameters, Format format) {
  return absl::StrJoin(parameters, ", ",
                       [&](std::string* out, const ShapeParameter& p) { *out += format(p); });
}

}  // namespace

const MethodShape& ShapeOf(const google::protobuf::MethodDescriptor& method) {
  static const auto* const kUnary = new MethodShape(Unary());
  static const auto* const kClientStreaming = new MethodShape(ClientStreaming());
  static const auto* const kServerStreaming = new MethodShape(ServerStreaming());
  static const auto* const kBidiStreaming = new MethodShape(BidiStreaming());
  if (method.client_streaming()) {
    return method.server_streaming() ? *kBidiStreaming : *kClientStreaming;
  }
  return method.server_streaming() ? *kServerStreaming : *kUnary;
}

std::string DeclaredParameters(const std::vector<ShapeParameter>& parameters) {
  return Join(parameters, [](const ShapeParameter& p) {
    return p.unnamed_in_declaration ? std::string(p.type) : absl::StrCat(p.type, " ", p.name);
  });
}

std::string NamedParameters(const std::vector<ShapeParameter>& parameters) {
  return Join(parameters,
              [](const ShapeParameter& p) { return absl::StrCat(p.type, " ", p.name); });
}

std::string UnnamedParameters(const std::vector<ShapeParameter>& parameters) {
  return Join(parameters, [](const ShapeParameter& p) { return std::string(p.type); });
}

std::string ParameterNames(const std::vector<ShapeParameter>& parameters) {
  return Join(parameters, [](const ShapeParameter& p) { return std::string(p.name); });
}

}  // namespace spoolrpc::compiler
