// What the user passes to the plugin on protoc's command line.
#ifndef SPOOLRPC_COMPILER_PLUGIN_PARAMETERS_H_
#define SPOOLRPC_COMPILER_PLUGIN_PARAMETERS_H_

#include <string>

#include "absl/status/statusor.h"

namespace spoolrpc::compiler {

struct Parameters {
  // Also write x_mock.spoolrpc.pb.h.
  bool generate_mock_code = false;
};

// Parses `text`, the part of `--spoolrpc_out=TEXT:DIR` before the colon: comma-separated
// NAME=VALUE. An unknown name or a bad value is INVALID_ARGUMENT with a message that says what is
// known.
absl::StatusOr<Parameters> ParseParameters(const std::string& text);

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_PARAMETERS_H_
