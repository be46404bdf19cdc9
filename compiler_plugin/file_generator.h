// Generates the files that stand for one .proto file.
#ifndef SPOOLRPC_COMPILER_PLUGIN_FILE_GENERATOR_H_
#define SPOOLRPC_COMPILER_PLUGIN_FILE_GENERATOR_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

#include <vector>

#include "compiler_plugin/annotations.h"
#include "compiler_plugin/names.h"
#include "compiler_plugin/service_generator.h"
#include "compiler_plugin/template.h"

namespace spoolrpc::compiler {

class FileGenerator {
 public:
  // The arguments must outlive the generator.
  FileGenerator(const google::protobuf::FileDescriptor& file, const Annotations& annotations);

  // x.spoolrpc.pb.h, x.spoolrpc.pb.cc and x_mock.spoolrpc.pb.h.
  void GenerateHeader(google::protobuf::io::Printer* printer) const;
  void GenerateSource(google::protobuf::io::Printer* printer) const;
  void GenerateMockHeader(google::protobuf::io::Printer* printer) const;

 private:
  using ServicePart = void (ServiceGenerator::*)(google::protobuf::io::Printer*) const;

  // All services in the file's namespace; nothing if there is none.
  void GenerateServices(google::protobuf::io::Printer* printer, ServicePart part) const;

  const google::protobuf::FileDescriptor& file_;
  const Names names_;
  std::vector<ServiceGenerator> services_;
  Variables variables_;
};

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_FILE_GENERATOR_H_
