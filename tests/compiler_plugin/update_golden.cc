// Writes the golden files anew: bazel run //tests/compiler_plugin:update_golden
#include <stdlib.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/compiler_plugin/golden.h"
#include "tests/compiler_plugin/run_protoc.h"

int main() {
  const char* workspace = getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace == nullptr) {
    fprintf(stderr, "Run this by: bazel run //tests/compiler_plugin:update_golden\n");
    return 2;
  }
  for (const std::string& name : spoolrpc::testing::GoldenNames()) {
    const std::string path = absl::StrCat(workspace, "/", spoolrpc::testing::GoldenPath(name));
    const std::string text = spoolrpc::testing::GenerateGolden(name);
    if (text == spoolrpc::testing::ReadFile(path)) continue;
    spoolrpc::testing::WriteFile(path, text);
    printf("updated %s\n", path.c_str());
  }
  return 0;
}
