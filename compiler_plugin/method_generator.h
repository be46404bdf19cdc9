// Generates everything that stands for one rpc.
#ifndef SPOOLRPC_COMPILER_PLUGIN_METHOD_GENERATOR_H_
#define SPOOLRPC_COMPILER_PLUGIN_METHOD_GENERATOR_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

#include <string>

#include "absl/strings/string_view.h"
#include "compiler_plugin/annotations.h"
#include "compiler_plugin/method_shape.h"
#include "compiler_plugin/names.h"
#include "compiler_plugin/template.h"

namespace spoolrpc::compiler {

// Each function prints one part at the printer's present place; not every kind of method has every
// part.
class MethodGenerator {
 public:
  using Printer = google::protobuf::io::Printer;

  // The arguments must outlive the generator.
  MethodGenerator(const google::protobuf::MethodDescriptor& method, const Names& names,
                  const Annotations& annotations);

  void GenerateInfo(Printer* printer) const;

  // The client's side: method_generator_client.cc. First StubInterface and its nested classes, then
  // Stub and its own, then their definitions, then the mock.
  void GenerateStubInterface(Printer* printer) const;
  void GenerateAsyncInterface(Printer* printer) const;
  void GenerateFutureInterface(Printer* printer) const;
  void GenerateDurableInterface(Printer* printer) const;
  void GenerateRawInterface(Printer* printer) const;
  void GenerateStub(Printer* printer) const;
  void GenerateAsync(Printer* printer) const;
  void GenerateFuture(Printer* printer) const;
  void GenerateDurable(Printer* printer) const;
  void GenerateRaw(Printer* printer) const;
  void GenerateStubDefinition(Printer* printer) const;
  void GenerateAsyncDefinition(Printer* printer) const;
  void GenerateFutureDefinition(Printer* printer) const;
  void GenerateDurableDefinition(Printer* printer) const;
  void GenerateMock(Printer* printer) const;

  // The server's side: method_generator_server.cc. Service, WithCallbackMethod_X, and definitions.
  void GenerateService(Printer* printer) const;
  void GenerateCallbackClass(Printer* printer) const;
  void GenerateRegistration(Printer* printer) const;
  void GenerateServiceDefinition(Printer* printer) const;

 private:
  // `text` with the variables of the method's types in it.
  std::string Typed(absl::string_view text) const;
  void Print(Printer* printer, absl::string_view text) const;
  // With the .proto file's comments around it.
  void PrintDocumented(Printer* printer, absl::string_view text) const;
  // `text` for each function of Stub::async, which has the variables async_* too.
  void PrintEachAsync(Printer* printer, absl::string_view text) const;

  const google::protobuf::MethodDescriptor& method_;
  const MethodShape& shape_;
  const MethodAnnotations& options_;
  Variables types_;
  Variables variables_;
};

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_METHOD_GENERATOR_H_
