// The plugin as protoc sees it.
#ifndef SPOOLRPC_COMPILER_PLUGIN_GENERATOR_H_
#define SPOOLRPC_COMPILER_PLUGIN_GENERATOR_H_

#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace spoolrpc::compiler {

// Stateless.
class Generator final : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context,
                std::string* error) const override;

  // All files at once, so that all errors of one run are told together, each as "FILE:LINE: ...".
  bool GenerateAll(const std::vector<const google::protobuf::FileDescriptor*>& files,
                   const std::string& parameter,
                   google::protobuf::compiler::GeneratorContext* context,
                   std::string* error) const override;

  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
};

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_GENERATOR_H_
