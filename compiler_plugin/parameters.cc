#include "compiler_plugin/parameters.h"

#include <google/protobuf/compiler/code_generator.h>

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc::compiler {

absl::StatusOr<Parameters> ParseParameters(const std::string& text) {
  Parameters parameters;
  std::vector<std::pair<std::string, std::string>> pairs;
  google::protobuf::compiler::ParseGeneratorParameter(text, &pairs);
  for (const auto& [name, value] : pairs) {
    if (name != "generate_mock_code") {
      return absl::InvalidArgumentError(absl::StrCat(
          "unknown parameter '", name,
          "': remove it from --spoolrpc_out or --spoolrpc_opt; known is generate_mock_code=true|"
          "false"));
    }
    if (value != "true" && value != "false") {
      return absl::InvalidArgumentError(absl::StrCat("parameter generate_mock_code has the value '",
                                                     value, "': write true or false"));
    }
    parameters.generate_mock_code = value == "true";
  }
  return parameters;
}

}  // namespace spoolrpc::compiler
