#include "tests/compiler_plugin/golden.h"

#include "absl/strings/str_cat.h"
#include "tests/compiler_plugin/run_protoc.h"

namespace spoolrpc::testing {

std::vector<std::string> GoldenNames() {
  return {"annotated", "comments",   "deep_package", "greeter", "imports",
          "names",     "no_package", "no_service",   "several", "streaming"};
}

std::string GoldenPath(const std::string& name) {
  return absl::StrCat("tests/compiler_plugin/golden/", name, ".golden");
}

std::string GenerateGolden(const std::string& name) {
  const std::string directory = MakeTemporaryDirectory();
  const std::string base = absl::StrCat("tests/compiler_plugin/protos/", name);
  const ProtocResult result =
      RunProtoc({absl::StrCat("--spoolrpc_out=generate_mock_code=true:", directory),
                 absl::StrCat(base, ".proto")});
  std::string text = absl::StrCat("==== protoc: exit code ", result.exit_code, "\n", result.output);
  for (const char* suffix : {".spoolrpc.pb.h", ".spoolrpc.pb.cc", "_mock.spoolrpc.pb.h"}) {
    absl::StrAppend(&text, "==== ", name, suffix, "\n",
                    ReadFile(absl::StrCat(directory, "/", base, suffix)));
  }
  return text;
}

}  // namespace spoolrpc::testing
