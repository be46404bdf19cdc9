#include "tests/compiler_plugin/grpc_differences.h"

#include <cstdio>
#include <cstdlib>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/compiler_plugin/cpp_members.h"

namespace spoolrpc::testing {
namespace {

// A declaration of gRPC's in our words.
std::string Translate(const std::string& declaration) {
  std::string translated = absl::StrReplaceAll(absl::StrCat(" ", declaration),
                                               {{" :: grpc :: Status ", " :: absl :: Status "},
                                                {" :: grpc :: ", " :: spoolrpc :: "},
                                                {" :: std :: ", " :: std :: "},
                                                {" std :: ", " :: std :: "}});
  return std::string(absl::StripPrefix(translated, " "));
}

}  // namespace

std::vector<Difference> ParseDifferences(const std::string& text) {
  std::vector<Difference> differences;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipWhitespace())) {
    if (absl::StartsWith(line, "#")) continue;
    if (!absl::StartsWith(line, " ")) {
      differences.push_back({std::string(line), std::regex(std::string(line)), ""});
    } else if (!differences.empty()) {
      absl::StrAppend(&differences.back().reason, line);
    }
  }
  for (const Difference& difference : differences) {
    if (difference.reason.empty()) {
      fprintf(stderr, "no reason for %s\n", difference.pattern.c_str());
      abort();
    }
  }
  return differences;
}

std::vector<std::string> MissingMembers(const std::string& grpc_header,
                                        const std::string& our_header,
                                        std::vector<Difference>* differences) {
  std::set<std::pair<std::string, std::string>> ours;
  for (const CppMember& member : PublicMembers(our_header)) {
    ours.emplace(member.name, member.declaration);
  }
  std::vector<std::string> missing;
  for (const CppMember& member : PublicMembers(grpc_header)) {
    if (ours.count({member.name, Translate(member.declaration)}) != 0) continue;
    bool excused = false;
    for (Difference& difference : *differences) {
      if (std::regex_match(member.name, difference.regex)) excused = difference.used = true;
    }
    if (!excused) missing.push_back(absl::StrCat(member.name, ": ", Translate(member.declaration)));
  }
  return missing;
}

}  // namespace spoolrpc::testing
