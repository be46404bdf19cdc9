// What the plugin makes of one .proto file, as the text of a golden file.
#ifndef SPOOLRPC_TESTS_COMPILER_PLUGIN_GOLDEN_H_
#define SPOOLRPC_TESTS_COMPILER_PLUGIN_GOLDEN_H_

#include <string>
#include <vector>

namespace spoolrpc::testing {

// The .proto files (without the suffix) that have a golden file: those whose generated code is
// worth reading.
std::vector<std::string> GoldenNames();

// From the repository's root.
std::string GoldenPath(const std::string& name);

// protoc's output and the generated files, one after the other.
std::string GenerateGolden(const std::string& name);

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_COMPILER_PLUGIN_GOLDEN_H_
