// Compares our generated classes with those of gRPC's plugin, except for documented differences.
#ifndef SPOOLRPC_TESTS_COMPILER_PLUGIN_GRPC_DIFFERENCES_H_
#define SPOOLRPC_TESTS_COMPILER_PLUGIN_GRPC_DIFFERENCES_H_

#include <regex>
#include <string>
#include <vector>

namespace spoolrpc::testing {

// One entry of grpc_differences.txt.
struct Difference {
  // As written; matches the whole name of a member of gRPC's classes.
  std::string pattern;
  std::regex regex;
  std::string reason;
  bool used = false;
};

// Lines that start with '#' are comments; an entry is a line with the pattern and indented lines
// with the reason. Aborts on an entry without a reason.
std::vector<Difference> ParseDifferences(const std::string& text);

// The public members of the classes in `grpc_header` that have no counterpart, of the same name and
// with the same declaration, in `our_header`, and that no entry excuses: "NAME: DECLARATION". Marks
// the entries that excuse something.
std::vector<std::string> MissingMembers(const std::string& grpc_header,
                                        const std::string& our_header,
                                        std::vector<Difference>* differences);

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_COMPILER_PLUGIN_GRPC_DIFFERENCES_H_
