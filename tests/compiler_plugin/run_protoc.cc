#include "tests/compiler_plugin/run_protoc.h"

#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace spoolrpc::testing {
namespace {

// Set by the BUILD file to paths that are relative to the runfiles, where tests run.
std::string Environment(const char* name) {
  const char* value = getenv(name);
  if (value == nullptr) {
    fprintf(stderr, "%s is not set: run this by bazel\n", name);
    abort();
  }
  return value;
}

// The roots under which Bazel shows .proto files that are imported by another path than their own.
std::vector<std::string> VirtualImportRoots() {
  std::vector<std::string> roots;
  for (const char* parent :
       {"proto/_virtual_imports", "external/com_google_protobuf/_virtual_imports"}) {
    for (const auto& entry : std::filesystem::directory_iterator(parent)) {
      roots.push_back(entry.path());
    }
  }
  return roots;
}

}  // namespace

ProtocResult RunProtoc(const std::vector<std::string>& arguments, const std::string& import_root) {
  std::string command = absl::StrCat(
      "'", Environment("PROTOC"), "' '--plugin=protoc-gen-spoolrpc=", Environment("PLUGIN"), "'");
  if (getenv("GRPC_PLUGIN") != nullptr) {
    absl::StrAppend(&command, " '--plugin=protoc-gen-grpc=", Environment("GRPC_PLUGIN"), "'");
  }
  if (!import_root.empty()) absl::StrAppend(&command, " '-I", import_root, "'");
  for (const std::string& root : VirtualImportRoots()) {
    absl::StrAppend(&command, " '-I", root, "'");
  }
  absl::StrAppend(&command, " -I.");
  for (const std::string& argument : arguments) absl::StrAppend(&command, " '", argument, "'");
  command += " 2>&1";

  ProtocResult result;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  while (size_t size = fread(buffer, 1, sizeof(buffer), pipe)) result.output.append(buffer, size);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

std::string MakeTemporaryDirectory() {
  const char* parent = getenv("TEST_TMPDIR");
  std::string path = absl::StrCat(parent != nullptr ? parent : "/tmp", "/protoc.XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    perror(path.c_str());
    abort();
  }
  return path;
}

std::string ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream << content;
  stream.close();
  if (!stream) {
    perror(path.c_str());
    abort();
  }
}

}  // namespace spoolrpc::testing
