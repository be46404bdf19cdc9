#include "compiler_plugin/method_generator.h"

#include <google/protobuf/compiler/cpp/names.h>
#include <google/protobuf/descriptor.pb.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "compiler_plugin/comments.h"
#include "compiler_plugin/diagnostics.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::MethodDescriptor;
using google::protobuf::MethodOptions;
using google::protobuf::compiler::cpp::QualifiedClassName;
using google::protobuf::io::Printer;

const char* IdempotencyOf(const MethodDescriptor& method) {
  switch (method.options().idempotency_level()) {
    case MethodOptions::NO_SIDE_EFFECTS:
      return "kNoSideEffects";
    case MethodOptions::IDEMPOTENT:
      return "kIdempotent";
    case MethodOptions::IDEMPOTENCY_UNKNOWN:
      break;
  }
  return "kUnknown";
}

}  // namespace

MethodGenerator::MethodGenerator(const MethodDescriptor& method, const Names& names,
                                 const Annotations& annotations)
    : method_(method), shape_(ShapeOf(method)) {
  const MethodAnnotations& options = annotations.Of(method);
  const std::string service = names.QualifiedClass(*method.service());
  const Variables types = {
      {"$request$", QualifiedClassName(method.input_type())},
      {"$response$", QualifiedClassName(method.output_type())},
      {"$info$", absl::StrCat(service, "::methods_[", method.index(), "]")},
  };
  variables_ = {
      {"class", names.Class(*method.service())},
      {"function", names.Function(method)},
      {"full_name", absl::StrCat("/", method.service()->full_name(), "/", method.name())},
      {"name", method.name()},
      {"place", Place(*method.file(), PathOf(method))},
      {"request", types.at("$request$")},
      {"response", types.at("$response$")},
      {"info", types.at("$info$")},
      {"kind", shape_.kind},
      {"idempotency", IdempotencyOf(method)},
      {"timeout_ns", absl::StrCat(options.timeout_ns)},
      {"ack_timeout_ns", absl::StrCat(options.ack_timeout_ns)},
      {"ack_before_execution", options.ack_before_execution ? "true" : "false"},
      {"stub_result", shape_.stub_result},
      {"stub_parameters", absl::StrReplaceAll(NamedParameters(shape_.stub_parameters), types)},
      {"stub_body", absl::StrReplaceAll(shape_.stub_body, types)},
      {"service_parameters",
       absl::StrReplaceAll(NamedParameters(shape_.service_parameters), types)},
      {"unnamed_service_parameters",
       absl::StrReplaceAll(UnnamedParameters(shape_.service_parameters), types)},
      {"handler", shape_.handler},
  };
}

void MethodGenerator::GenerateStubInterface(Printer* printer) const {
  GenerateDocumented(printer, R"gen(
virtual $stub_result$ $function$($stub_parameters$) = 0;
)gen");
}

void MethodGenerator::GenerateStubDeclaration(Printer* printer) const {
  Print(printer, R"gen(
$stub_result$ $function$($stub_parameters$) override;
)gen");
}

void MethodGenerator::GenerateServiceDeclaration(Printer* printer) const {
  GenerateDocumented(printer, R"gen(
virtual ::absl::Status $function$($service_parameters$);
)gen");
}

void MethodGenerator::GenerateMock(Printer* printer) const {
  Print(printer, R"gen(
MOCK_METHOD($stub_result$, $function$, ($stub_parameters$), (override));
)gen");
}

void MethodGenerator::GenerateInfo(Printer* printer) const {
  PrintTemplate(printer, variables_, R"gen(
    {"$full_name$",
     ::spoolrpc::MethodKind::$kind$, ::spoolrpc::Idempotency::$idempotency$,
     /*timeout_ns=*/$timeout_ns$, /*ack_timeout_ns=*/$ack_timeout_ns$,
     /*ack_before_execution=*/$ack_before_execution$},
)gen");
}

void MethodGenerator::GenerateStubDefinition(Printer* printer) const {
  Print(printer, R"gen(

$stub_result$ $class$::Stub::$function$($stub_parameters$) {
  $stub_body$
}
)gen");
}

void MethodGenerator::GenerateRegistration(Printer* printer) const {
  Print(printer, R"gen(
  ::spoolrpc::Service::AddMethod(
      &$info$,
      ::std::make_unique<$handler$<Service, $request$, $response$>>(
          this, &Service::$function$));
)gen");
}

void MethodGenerator::GenerateServiceDefinition(Printer* printer) const {
  Print(printer, R"gen(

::absl::Status $class$::Service::$function$($unnamed_service_parameters$) {
  return ::absl::UnimplementedError("$full_name$ is not implemented by this server");
}
)gen");
}

void MethodGenerator::Print(Printer* printer, absl::string_view text) const {
  if (shape_.supported) PrintTemplate(printer, variables_, text);
}

void MethodGenerator::GenerateDocumented(Printer* printer, absl::string_view text) const {
  printer->Print("\n");
  if (!shape_.supported) {
    PrintTemplate(printer, variables_, R"gen(
// Left out: $name$ ($place$) streams; this release carries unary calls only.
)gen");
    return;
  }
  PrintLines(printer, LeadingComments(LocationOf(method_)));
  Print(printer, text);
  PrintLines(printer, TrailingComments(LocationOf(method_)));
}

}  // namespace spoolrpc::compiler
