#include "compiler_plugin/method_generator.h"

#include <google/protobuf/compiler/cpp/names.h>
#include <google/protobuf/descriptor.pb.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "compiler_plugin/comments.h"
#include "compiler_plugin/fingerprint.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::MethodDescriptor;
using google::protobuf::MethodOptions;
using google::protobuf::compiler::cpp::QualifiedClassName;

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

// The fields of a MethodInfo that most methods leave at their defaults.
std::string RareFields(const MethodAnnotations& options) {
  static constexpr const char* kExecutions[] = {"kWorkers", "kInline"};
  static constexpr const char* kIsolations[] = {"kNone", "kProcess"};
  static constexpr const char* kCompressions[] = {"kDefault", "kNone", "kZstd"};
  const BatchAnnotation& batch = options.batch;
  const RetryAnnotation& retry = options.retry;
  const HedgingAnnotation& hedging = options.hedging;
  if (options.concurrency == 0 && options.execution == 0 && options.isolation == 0 &&
      options.compression == 0 && batch.max_size == 0 && retry.max_attempts == 0 &&
      hedging.max_attempts == 0) {
    return R"gen(/*concurrency=*/0, ::spoolrpc::Execution::kWorkers,
     ::spoolrpc::Isolation::kNone, ::spoolrpc::Compression::kDefault,
     /*batch=*/{}, /*retry=*/{}, /*hedging=*/{})gen";
  }
  return absl::StrFormat(
      R"gen(/*concurrency=*/%d, ::spoolrpc::Execution::%s,
     ::spoolrpc::Isolation::%s, ::spoolrpc::Compression::%s,
     /*batch=*/{/*max_size=*/%d, /*max_delay_ns=*/%d},
     /*retry=*/{/*max_attempts=*/%d, /*initial_backoff_ns=*/%d, /*max_backoff_ns=*/%d,
                /*backoff_multiplier=*/%.17g, /*retryable_codes=*/0x%x},
     /*hedging=*/{/*max_attempts=*/%d, /*delay_ns=*/%d, /*non_fatal_codes=*/0x%x})gen",
      options.concurrency, kExecutions[options.execution], kIsolations[options.isolation],
      kCompressions[options.compression], batch.max_size, batch.max_delay_ns, retry.max_attempts,
      retry.initial_backoff_ns, retry.max_backoff_ns, retry.backoff_multiplier,
      retry.retryable_codes, hedging.max_attempts, hedging.delay_ns, hedging.non_fatal_codes);
}

}  // namespace

MethodGenerator::MethodGenerator(const MethodDescriptor& method, const Names& names,
                                 const Annotations& annotations)
    : method_(method), shape_(ShapeOf(method)), options_(annotations.Of(method)) {
  const std::string service = names.QualifiedClass(*method.service());
  types_ = {
      {"$request$", QualifiedClassName(method.input_type())},
      {"$response$", QualifiedClassName(method.output_type())},
      {"$info$", absl::StrCat(service, "::methods_[", method.index(), "]")},
  };
  variables_ = {
      {"class", names.Class(*method.service())},
      {"callback_class", Names::CallbackClass(method)},
      {"function", names.Function(method)},
      {"raw", names.RawFunction(method)},
      {"index", absl::StrCat(method.index())},
      {"full_name", absl::StrCat("/", method.service()->full_name(), "/", method.name())},
      {"request", types_.at("$request$")},
      {"response", types_.at("$response$")},
      {"info", types_.at("$info$")},
      {"kind", shape_.kind},
      {"idempotency", IdempotencyOf(method)},
      {"timeout_ns", absl::StrCat(options_.timeout_ns)},
      {"ack_timeout_ns", absl::StrCat(options_.ack_timeout_ns)},
      {"ack_before_execution", options_.ack_before_execution ? "true" : "false"},
      {"rare_fields", RareFields(options_)},
      {"request_name", method.input_type()->full_name()},
      {"response_name", method.output_type()->full_name()},
      {"fingerprint", absl::StrFormat("0x%016x", Fingerprint(method, annotations))},
      {"stream", Typed(absl::StrCat(shape_.stream_class, shape_.stream_types))},
      {"stream_interface",
       Typed(absl::StrCat(shape_.stream_class, "Interface", shape_.stream_types))},
      {"stub_parameters", Typed(NamedParameters(shape_.stub_parameters))},
      {"stub_arguments", ParameterNames(shape_.stub_parameters)},
      {"stub_call", Typed(shape_.stub_call)},
      {"service_parameters", Typed(NamedParameters(shape_.service_parameters))},
      {"unnamed_service_parameters", Typed(UnnamedParameters(shape_.service_parameters))},
      {"handler", shape_.handler},
      {"reactor", Typed(shape_.reactor)},
      {"unnamed_callback_parameters", Typed(UnnamedParameters(shape_.callback_parameters))},
      {"callback_arguments", ParameterNames(shape_.callback_parameters)},
  };
}

void MethodGenerator::GenerateInfo(Printer* printer) const {
  Print(printer, R"gen(
    {"$full_name$",
     ::spoolrpc::MethodKind::$kind$, ::spoolrpc::Idempotency::$idempotency$,
     /*timeout_ns=*/$timeout_ns$, /*ack_timeout_ns=*/$ack_timeout_ns$,
     /*ack_before_execution=*/$ack_before_execution$, $rare_fields$,
     "$request_name$", "$response_name$", /*fingerprint=*/$fingerprint$},
)gen");
}

std::string MethodGenerator::Typed(absl::string_view text) const {
  return absl::StrReplaceAll(text, types_);
}

void MethodGenerator::Print(Printer* printer, absl::string_view text) const {
  PrintTemplate(printer, variables_, text);
}

void MethodGenerator::PrintDocumented(Printer* printer, absl::string_view text) const {
  printer->Print("\n");
  PrintLines(printer, LeadingComments(LocationOf(method_)));
  Print(printer, text);
  PrintLines(printer, TrailingComments(LocationOf(method_)));
}

}  // namespace spoolrpc::compiler
