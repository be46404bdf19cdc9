// Generates everything that stands for one rpc.
#ifndef SPOOLRPC_COMPILER_PLUGIN_METHOD_GENERATOR_H_
#define SPOOLRPC_COMPILER_PLUGIN_METHOD_GENERATOR_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

#include <string>

#include "compiler_plugin/annotations.h"
#include "compiler_plugin/method_shape.h"
#include "compiler_plugin/names.h"
#include "compiler_plugin/template.h"

namespace spoolrpc::compiler {

// Each function prints one part at the printer's present place. A method whose kind the runtime
// does not have yet prints nothing but notes and its MethodInfo.
class MethodGenerator {
 public:
  // The arguments must outlive the generator.
  MethodGenerator(const google::protobuf::MethodDescriptor& method, const Names& names,
                  const Annotations& annotations);

  void GenerateStubInterface(google::protobuf::io::Printer* printer) const;
  void GenerateStubDeclaration(google::protobuf::io::Printer* printer) const;
  void GenerateServiceDeclaration(google::protobuf::io::Printer* printer) const;
  void GenerateMock(google::protobuf::io::Printer* printer) const;

  void GenerateInfo(google::protobuf::io::Printer* printer) const;
  void GenerateStubDefinition(google::protobuf::io::Printer* printer) const;
  void GenerateRegistration(google::protobuf::io::Printer* printer) const;
  void GenerateServiceDefinition(google::protobuf::io::Printer* printer) const;

 private:
  void Print(google::protobuf::io::Printer* printer, absl::string_view text) const;
  void GenerateDocumented(google::protobuf::io::Printer* printer, absl::string_view text) const;

  const google::protobuf::MethodDescriptor& method_;
  const MethodShape& shape_;
  Variables variables_;
};

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_METHOD_GENERATOR_H_
