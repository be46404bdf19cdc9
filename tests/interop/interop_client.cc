// The client of gRPC's interop tests, over a spool: runs the case that it is told, and ends with
// status 0 if it passed.

#include <stdio.h>

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "gtest/gtest.h"

ABSL_FLAG(std::string, test_case, "", "the case to run");
ABSL_FLAG(bool, list, false, "print the names of all cases instead");

namespace {

std::vector<std::string> CaseNames() {
  std::vector<std::string> names;
  const ::testing::UnitTest* const unit = ::testing::UnitTest::GetInstance();
  for (int i = 0; i < unit->total_test_suite_count(); ++i) {
    const ::testing::TestSuite* const suite = unit->GetTestSuite(i);
    for (int j = 0; j < suite->total_test_count(); ++j) {
      names.emplace_back(suite->GetTestInfo(j)->name());
    }
  }
  return names;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Runs one of gRPC's interop test cases against interop_server, over a spool.");
  ::testing::InitGoogleTest(&argc, argv);
  absl::ParseCommandLine(argc, argv);
  const std::vector<std::string> names = CaseNames();
  if (absl::GetFlag(FLAGS_list)) {
    for (const std::string& name : names) printf("%s\n", name.c_str());
    return 0;
  }
  const std::string chosen = absl::GetFlag(FLAGS_test_case);
  for (const std::string& name : names) {
    if (name != chosen) continue;
    ::testing::GTEST_FLAG(filter) = "*." + name;
    return RUN_ALL_TESTS();
  }
  fprintf(stderr,
          "interop_client: there is no case --test_case='%s' (--list shows those there are)\n",
          chosen.c_str());
  return 64;
}
