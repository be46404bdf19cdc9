// Runs the real protoc with real plugins, as a build does.
#ifndef SPOOLRPC_TESTS_COMPILER_PLUGIN_RUN_PROTOC_H_
#define SPOOLRPC_TESTS_COMPILER_PLUGIN_RUN_PROTOC_H_

#include <string>
#include <vector>

namespace spoolrpc::testing {

struct ProtocResult {
  int exit_code = -1;
  // stdout and stderr, of the plugin too.
  std::string output;
};

// Runs protoc with the given arguments and an import path that has the working directory,
// `import_root` (if not empty), google/protobuf/*.proto and spoolrpc/options.proto. --spoolrpc_out
// and --grpc_out find their plugins. Blocks until protoc has ended. Paths must not contain a single
// quote.
ProtocResult RunProtoc(const std::vector<std::string>& arguments,
                       const std::string& import_root = "");

// A new empty directory, removed by whoever removes the system's or the test's temporary files.
std::string MakeTemporaryDirectory();

// The whole file, or "" if there is none.
std::string ReadFile(const std::string& path);
// Creates or replaces the file and aborts if that fails.
void WriteFile(const std::string& path, const std::string& content);

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_COMPILER_PLUGIN_RUN_PROTOC_H_
