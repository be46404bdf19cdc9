#include "compiler_plugin/service_generator.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "compiler_plugin/comments.h"
#include "compiler_plugin/fingerprint.h"

namespace spoolrpc::compiler {

using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::io::Printer;

ServiceGenerator::ServiceGenerator(const ServiceDescriptor& service, const Names& names,
                                   const Annotations& annotations)
    : service_(service) {
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    methods_.emplace_back(method, names, annotations);
    streams_ |= method.client_streaming() || method.server_streaming();
  }
  // As gRPC's: the first method's class is the outermost.
  std::string callback_service = "Service";
  for (int i = service.method_count() - 1; i >= 0; --i) {
    callback_service =
        absl::StrCat(Names::CallbackClass(*service.method(i)), "<", callback_service, ">");
  }
  variables_ = {
      {"class", names.Class(service)},
      {"qualified_class", names.QualifiedClass(service)},
      {"mock", names.Mock(service)},
      {"full_name", service.full_name()},
      {"callback_service", callback_service},
      // C++ has no arrays of nothing.
      {"methods", methods_.empty() ? "nullptr" : "methods_"},
      {"method_count", absl::StrCat(methods_.size())},
      {"fingerprint", absl::StrFormat("0x%016x", Fingerprint(service, annotations))},
  };
}

void ServiceGenerator::GenerateDeclaration(Printer* printer) const {
  PrintTemplate(printer, variables_, "\n\n");
  PrintLines(printer, LeadingComments(LocationOf(service_)));
  PrintTemplate(printer, variables_, R"gen(
class $class$ final {
)gen");
  printer->Indent();
  PrintLines(printer, TrailingComments(LocationOf(service_)));
  printer->Outdent();
  PrintTemplate(printer, variables_, R"gen(
 public:
  static constexpr char const* service_full_name() { return "$full_name$"; }
)gen");
  GenerateStubInterface(printer);
  GenerateStub(printer);
  GenerateService(printer);
  PrintTemplate(printer, variables_, R"gen(

 private:
  static const ::spoolrpc::MethodInfo methods_[];
  static const ::spoolrpc::ServiceInfo info_;
};
)gen");
}

void ServiceGenerator::GenerateStubInterface(Printer* printer) const {
  PrintTemplate(printer, variables_, R"gen(

  class StubInterface {
   public:
    virtual ~StubInterface() = default;
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateStubInterface, 2);
  PrintTemplate(printer, variables_, R"gen(

    // Calls that do not block: see the functions of the same name above.
    class async_interface {
     public:
      virtual ~async_interface() = default;
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateAsyncInterface, 3);
  PrintTemplate(printer, variables_, R"gen(
    };
    typedef class async_interface experimental_async_interface;
    virtual class async_interface* async() { return nullptr; }
    class async_interface* experimental_async() { return async(); }

    // Unary calls whose replies are picked up later. `setup` is called at once with the call's context.
    class future_interface {
     public:
      virtual ~future_interface() = default;
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateFutureInterface, 3);
  PrintTemplate(printer, variables_, R"gen(
    };
    virtual class future_interface* future() { return nullptr; }

    // Unary calls that outlive both processes. `setup` is called at once with the call's context.
    class durable_interface : public ::spoolrpc::DurableTickets {
     public:
      durable_interface() = default;
      durable_interface(const ::std::shared_ptr<::spoolrpc::ChannelInterface>& channel, const char* service)
          : ::spoolrpc::DurableTickets(channel, service) {}
      using ::spoolrpc::DurableTickets::Cancel;
      using ::spoolrpc::DurableTickets::Collect;
      using ::spoolrpc::DurableTickets::Delete;
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateDurableInterface, 3);
  PrintTemplate(printer, variables_, R"gen(
    };
    virtual class durable_interface* durable() { return nullptr; }
)gen");
  if (streams_) {
    PrintTemplate(printer, variables_, R"gen(

   private:
)gen");
  }
  GenerateEach(printer, &MethodGenerator::GenerateRawInterface, 2);
  PrintTemplate(printer, variables_, R"gen(
  };
)gen");
}

void ServiceGenerator::GenerateStub(Printer* printer) const {
  PrintTemplate(printer, variables_, R"gen(

  class Stub final : public StubInterface {
   public:
    Stub(const ::std::shared_ptr<::spoolrpc::ChannelInterface>& channel,
         const ::spoolrpc::StubOptions& options = ::spoolrpc::StubOptions());
    Stub(const Stub&) = delete;
    Stub& operator=(const Stub&) = delete;
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateStub, 2);
  PrintTemplate(printer, variables_, R"gen(

    class async final : public StubInterface::async_interface {
     public:
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateAsync, 3);
  PrintTemplate(printer, variables_, R"gen(

     private:
      friend class Stub;
      explicit async(Stub* stub) : stub_(stub) {}
      [[maybe_unused]] Stub* const stub_;
    };
    class async* async() override { return &async_stub_; }

    class future final : public StubInterface::future_interface {
     public:
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateFuture, 3);
  PrintTemplate(printer, variables_, R"gen(

     private:
      friend class Stub;
      explicit future(Stub* stub) : stub_(stub) {}
      [[maybe_unused]] Stub* const stub_;
    };
    class future* future() override { return &future_stub_; }

    class durable final : public StubInterface::durable_interface {
     public:
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateDurable, 3);
  PrintTemplate(printer, variables_, R"gen(

     private:
      friend class Stub;
      explicit durable(const ::std::shared_ptr<::spoolrpc::ChannelInterface>& channel)
          : StubInterface::durable_interface(channel, "$full_name$") {}
    };
    class durable* durable() override { return &durable_stub_; }

   private:
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateRaw, 2);
  PrintTemplate(printer, variables_, R"gen(
    ::std::shared_ptr<::spoolrpc::ChannelInterface> channel_;
    class async async_stub_{this};
    class future future_stub_{this};
    class durable durable_stub_{channel_};
  };

  static ::std::unique_ptr<Stub> NewStub(
      const ::std::shared_ptr<::spoolrpc::ChannelInterface>& channel,
      const ::spoolrpc::StubOptions& options = ::spoolrpc::StubOptions());
)gen");
}

void ServiceGenerator::GenerateService(Printer* printer) const {
  PrintTemplate(printer, variables_, R"gen(

  class Service : public ::spoolrpc::Service {
   public:
    Service();
    ~Service() override;
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateService, 2);
  PrintTemplate(printer, variables_, R"gen(
  };
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateCallbackClass, 1);
  PrintTemplate(printer, variables_, R"gen(
  typedef $callback_service$ CallbackService;
  typedef CallbackService ExperimentalCallbackService;
)gen");
}

void ServiceGenerator::GenerateDefinition(Printer* printer) const {
  PrintTemplate(printer, variables_, "\n\n");
  if (!methods_.empty()) {
    PrintTemplate(printer, variables_, R"gen(
constexpr ::spoolrpc::MethodInfo $class$::methods_[] = {
)gen");
    GenerateEach(printer, &MethodGenerator::GenerateInfo, 0);
    PrintTemplate(printer, variables_, R"gen(
};

)gen");
  }
  PrintTemplate(printer, variables_, R"gen(
constexpr ::spoolrpc::ServiceInfo $class$::info_ = {
    "$full_name$", $methods$, /*method_count=*/$method_count$,
    /*fingerprint=*/$fingerprint$};

::std::unique_ptr<$class$::Stub> $class$::NewStub(
    const ::std::shared_ptr<::spoolrpc::ChannelInterface>& channel,
    const ::spoolrpc::StubOptions& options) {
  return ::std::make_unique<Stub>(channel, options);
}

$class$::Stub::Stub(
    const ::std::shared_ptr<::spoolrpc::ChannelInterface>& channel,
    const ::spoolrpc::StubOptions&)
    : channel_(channel) {}
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateStubDefinition, 0);
  GenerateEach(printer, &MethodGenerator::GenerateAsyncDefinition, 0);
  GenerateEach(printer, &MethodGenerator::GenerateFutureDefinition, 0);
  GenerateEach(printer, &MethodGenerator::GenerateDurableDefinition, 0);
  PrintTemplate(printer, variables_, R"gen(

$class$::Service::Service() : ::spoolrpc::Service(&$qualified_class$::info_) {
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateRegistration, 0);
  PrintTemplate(printer, variables_, R"gen(
}

$class$::Service::~Service() = default;
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateServiceDefinition, 0);
}

void ServiceGenerator::GenerateMock(Printer* printer) const {
  PrintTemplate(printer, variables_, R"gen(

class $mock$ : public $class$::StubInterface {
 public:
)gen");
  GenerateEach(printer, &MethodGenerator::GenerateMock, 1);
  PrintTemplate(printer, variables_, R"gen(
};
)gen");
}

void ServiceGenerator::GenerateEach(Printer* printer, MethodPart part, int indents) const {
  for (int i = 0; i < indents; ++i) printer->Indent();
  for (const MethodGenerator& method : methods_) (method.*part)(printer);
  for (int i = 0; i < indents; ++i) printer->Outdent();
}

}  // namespace spoolrpc::compiler
