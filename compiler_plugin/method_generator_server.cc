// What a server sees of a method: Service, and the class template that makes it a callback method.
#include "absl/strings/str_cat.h"
#include "compiler_plugin/method_generator.h"

namespace spoolrpc::compiler {
namespace {

// The handler's parameters, of which a method that streams uses only some.
std::string HandlerParameters(const std::vector<ShapeParameter>& used) {
  std::string text = "::spoolrpc::CallbackServerContext* context";
  for (const ShapeParameter& parameter :
       {ShapeParameter{"const $request$*", "request"}, ShapeParameter{"$response$*", "response"}}) {
    absl::StrAppend(&text, ", ", parameter.type);
    for (const ShapeParameter& other : used) {
      if (absl::string_view(other.name) == parameter.name) absl::StrAppend(&text, " ", other.name);
    }
  }
  return text;
}

}  // namespace

void MethodGenerator::GenerateService(Printer* printer) const {
  PrintDocumented(printer, R"gen(
virtual ::absl::Status $function$($service_parameters$);
)gen");
  if (options_.batch.max_size == 0) return;
  Print(printer, R"gen(
// Several calls at once; without an override each goes to the function above.
virtual ::absl::Status $function$(::spoolrpc::BatchContext* batch, ::absl::Span<const $request$* const> requests, ::absl::Span<$response$* const> responses);
)gen");
}

void MethodGenerator::GenerateCallbackClass(Printer* printer) const {
  Variables variables = variables_;
  variables["handler_parameters"] = Typed(HandlerParameters(shape_.callback_parameters));
  PrintTemplate(printer, variables, R"gen(

template <class BaseClass>
class $callback_class$ : public BaseClass {
 public:
  $callback_class$() {
    static_assert(::std::is_base_of<Service, BaseClass>::value, "BaseClass must be derived from Service");
    ::spoolrpc::Service::MarkMethodCallback(
        $index$, ::std::make_unique<::spoolrpc::ReactorMethodHandler<$request$, $response$>>(
            [this]($handler_parameters$) {
              return this->$function$($callback_arguments$);
            }));
  }
  ~$callback_class$() override = default;
  // The blocking version of this method is not called.
  ::absl::Status $function$($unnamed_service_parameters$) override {
    return ::absl::UnimplementedError("$full_name$ is a callback method here");
  }
  virtual $reactor$* $function$($unnamed_callback_parameters$) { return nullptr; }
};
)gen");
}

void MethodGenerator::GenerateRegistration(Printer* printer) const {
  if (options_.batch.max_size > 0) {
    // The constructor tells which of the functions of this name is meant; make_unique could not.
    Print(printer, R"gen(
  ::spoolrpc::Service::AddMethod(
      &$info$,
      ::std::unique_ptr<::spoolrpc::MethodHandler>(
          new ::spoolrpc::BatchMethodHandler<Service, $request$, $response$>(this, &Service::$function$)));
)gen");
    return;
  }
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
  if (options_.batch.max_size == 0) return;
  Print(printer, R"gen(

::absl::Status $class$::Service::$function$(::spoolrpc::BatchContext* batch, ::absl::Span<const $request$* const> requests, ::absl::Span<$response$* const> responses) {
  for (int i = 0; i < batch->size(); ++i) {
    batch->SetStatus(i, this->$function$(batch->context(i), requests[i], responses[i]));
  }
  return ::absl::OkStatus();
}
)gen");
}

}  // namespace spoolrpc::compiler
