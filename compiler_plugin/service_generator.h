// Generates the class that stands for one service, and the mock of its stub.
#ifndef SPOOLRPC_COMPILER_PLUGIN_SERVICE_GENERATOR_H_
#define SPOOLRPC_COMPILER_PLUGIN_SERVICE_GENERATOR_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

#include <vector>

#include "compiler_plugin/annotations.h"
#include "compiler_plugin/method_generator.h"
#include "compiler_plugin/names.h"
#include "compiler_plugin/template.h"

namespace spoolrpc::compiler {

class ServiceGenerator {
 public:
  // The arguments must outlive the generator.
  ServiceGenerator(const google::protobuf::ServiceDescriptor& service, const Names& names,
                   const Annotations& annotations);

  // For the header, the source and the header of mocks.
  void GenerateDeclaration(google::protobuf::io::Printer* printer) const;
  void GenerateDefinition(google::protobuf::io::Printer* printer) const;
  void GenerateMock(google::protobuf::io::Printer* printer) const;

 private:
  using MethodPart = void (MethodGenerator::*)(google::protobuf::io::Printer*) const;

  void GenerateStubInterface(google::protobuf::io::Printer* printer) const;
  void GenerateStub(google::protobuf::io::Printer* printer) const;
  void GenerateService(google::protobuf::io::Printer* printer) const;
  void GenerateEach(google::protobuf::io::Printer* printer, MethodPart part, int indents) const;

  const google::protobuf::ServiceDescriptor& service_;
  std::vector<MethodGenerator> methods_;
  bool streams_ = false;  // any of them
  Variables variables_;
};

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_SERVICE_GENERATOR_H_
