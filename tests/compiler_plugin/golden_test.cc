// Generated code changes only on purpose: it is compared with golden files, so that a change of the
// plugin shows in review as a change of what it makes. When it is meant:
//
//   bazel run //tests/compiler_plugin:update_golden

#include "tests/compiler_plugin/golden.h"

#include <gtest/gtest.h>

#include "tests/compiler_plugin/run_protoc.h"

namespace spoolrpc::testing {
namespace {

class GoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, GeneratedCodeIsAsReviewed) {
  const std::string golden = ReadFile(GoldenPath(GetParam()));
  ASSERT_NE(golden, "") << GoldenPath(GetParam()) << " is missing";
  EXPECT_EQ(GenerateGolden(GetParam()), golden)
      << "If the change is meant: bazel run //tests/compiler_plugin:update_golden";
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTest, ::testing::ValuesIn(GoldenNames()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace spoolrpc::testing
