// protoc-gen-spoolrpc: run by protoc as `protoc --spoolrpc_out=DIR x.proto`.
#include <google/protobuf/compiler/plugin.h>

#include "compiler_plugin/generator.h"

int main(int argc, char* argv[]) {
  spoolrpc::compiler::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
