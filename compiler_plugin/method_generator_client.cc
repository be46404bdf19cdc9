// What a client sees of a method: StubInterface, Stub, and the mock.
#include "compiler_plugin/method_generator.h"

namespace spoolrpc::compiler {

void MethodGenerator::GenerateStubInterface(Printer* printer) const {
  if (!shape_.streams()) {
    PrintDocumented(printer, R"gen(
virtual ::absl::Status $function$($stub_parameters$) = 0;
)gen");
    return;
  }
  PrintDocumented(printer, R"gen(
::std::unique_ptr<$stream_interface$> $function$($stub_parameters$) {
  return ::std::unique_ptr<$stream_interface$>($raw$($stub_arguments$));
}
)gen");
}

void MethodGenerator::GenerateAsyncInterface(Printer* printer) const {
  PrintEachAsync(printer, R"gen(
virtual void $function$($async_declared$) = 0;
)gen");
}

void MethodGenerator::GenerateFutureInterface(Printer* printer) const {
  if (shape_.streams()) return;
  Print(printer, R"gen(
virtual ::spoolrpc::Future<$response$> $function$(const $request$& request, ::std::function<void(::spoolrpc::ClientContext*)> setup) = 0;
::spoolrpc::Future<$response$> $function$(const $request$& request) { return this->$function$(request, nullptr); }
)gen");
}

void MethodGenerator::GenerateDurableInterface(Printer* printer) const {
  if (shape_.streams()) return;
  Print(printer, R"gen(
virtual ::absl::StatusOr<::spoolrpc::Ticket> $function$(const $request$& request, ::std::function<void(::spoolrpc::ClientContext*)> setup) = 0;
::absl::StatusOr<::spoolrpc::Ticket> $function$(const $request$& request) { return this->$function$(request, nullptr); }
)gen");
}

void MethodGenerator::GenerateRawInterface(Printer* printer) const {
  if (!shape_.streams()) return;
  Print(printer, R"gen(
virtual $stream_interface$* $raw$($stub_parameters$) = 0;
)gen");
}

void MethodGenerator::GenerateStub(Printer* printer) const {
  if (!shape_.streams()) {
    Print(printer, R"gen(
::absl::Status $function$($stub_parameters$) override;
)gen");
    return;
  }
  Print(printer, R"gen(
::std::unique_ptr<$stream$> $function$($stub_parameters$) {
  return ::std::unique_ptr<$stream$>($raw$($stub_arguments$));
}
)gen");
}

void MethodGenerator::GenerateAsync(Printer* printer) const {
  PrintEachAsync(printer, R"gen(
void $function$($async_declared$) override;
)gen");
}

void MethodGenerator::GenerateFuture(Printer* printer) const {
  if (shape_.streams()) return;
  Print(printer, R"gen(
using StubInterface::future_interface::$function$;
::spoolrpc::Future<$response$> $function$(const $request$& request, ::std::function<void(::spoolrpc::ClientContext*)> setup) override;
)gen");
}

void MethodGenerator::GenerateDurable(Printer* printer) const {
  if (shape_.streams()) return;
  Print(printer, R"gen(
using StubInterface::durable_interface::$function$;
::absl::StatusOr<::spoolrpc::Ticket> $function$(const $request$& request, ::std::function<void(::spoolrpc::ClientContext*)> setup) override;
)gen");
}

void MethodGenerator::GenerateRaw(Printer* printer) const {
  if (!shape_.streams()) return;
  Print(printer, R"gen(
$stream$* $raw$($stub_parameters$) override;
)gen");
}

void MethodGenerator::GenerateStubDefinition(Printer* printer) const {
  if (!shape_.streams()) {
    Print(printer, R"gen(

::absl::Status $class$::Stub::$function$($stub_parameters$) {
  return $stub_call$;
}
)gen");
    return;
  }
  Print(printer, R"gen(

$stream$* $class$::Stub::$raw$($stub_parameters$) {
  return new $stream$($stub_call$);
}
)gen");
}

void MethodGenerator::GenerateAsyncDefinition(Printer* printer) const {
  PrintEachAsync(printer, R"gen(

void $class$::Stub::async::$function$($async_parameters$) {
  stub_->$async_call$;
}
)gen");
}

void MethodGenerator::GenerateFutureDefinition(Printer* printer) const {
  if (shape_.streams()) return;
  Print(printer, R"gen(

::spoolrpc::Future<$response$> $class$::Stub::future::$function$(const $request$& request, ::std::function<void(::spoolrpc::ClientContext*)> setup) {
  return ::spoolrpc::Future<$response$>::Start(stub_->channel_, $info$, request, setup);
}
)gen");
}

void MethodGenerator::GenerateDurableDefinition(Printer* printer) const {
  if (shape_.streams()) return;
  Print(printer, R"gen(

::absl::StatusOr<::spoolrpc::Ticket> $class$::Stub::durable::$function$(const $request$& request, ::std::function<void(::spoolrpc::ClientContext*)> setup) {
  return ::spoolrpc::DurableTickets::SubmitMessage($info$, request, setup, $response$().GetTypeName());
}
)gen");
}

void MethodGenerator::GenerateMock(Printer* printer) const {
  if (!shape_.streams()) {
    Print(printer, R"gen(
MOCK_METHOD(::absl::Status, $function$, ($stub_parameters$), (override));
)gen");
    return;
  }
  Print(printer, R"gen(
MOCK_METHOD(($stream_interface$*), $raw$, ($stub_parameters$), (override));
)gen");
}

void MethodGenerator::PrintEachAsync(Printer* printer, absl::string_view text) const {
  for (const AsyncShape& function : shape_.async) {
    Variables variables = variables_;
    variables["async_declared"] = Typed(DeclaredParameters(function.parameters));
    variables["async_parameters"] = Typed(NamedParameters(function.parameters));
    variables["async_call"] = Typed(function.call);
    PrintTemplate(printer, variables, text);
  }
}

}  // namespace spoolrpc::compiler
