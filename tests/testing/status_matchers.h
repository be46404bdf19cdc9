// gtest matchers for absl::Status and absl::StatusOr, which this version of Abseil does not have.
#ifndef SPOOLRPC_TESTS_TESTING_STATUS_MATCHERS_H_
#define SPOOLRPC_TESTS_TESTING_STATUS_MATCHERS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace spoolrpc::testing {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <class T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, negation ? "is an error" : "is OK") {
  *result_listener << StatusOf(arg);
  return StatusOf(arg).ok();
}

MATCHER_P(HasCode, code, "has code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg);
  return StatusOf(arg).code() == code;
}

// StatusIs(absl::StatusCode::kDataLoss, HasSubstr("offset 4096"))
MATCHER_P2(StatusIs, code, message, "has code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg);
  return StatusOf(arg).code() == code &&
         ::testing::ExplainMatchResult(message, std::string(StatusOf(arg).message()),
                                       result_listener);
}

}  // namespace spoolrpc::testing

#define SPOOLRPC_CONCAT_(a, b) a##b
#define SPOOLRPC_CONCAT(a, b) SPOOLRPC_CONCAT_(a, b)

#define ASSERT_OK(expression) ASSERT_THAT(expression, ::spoolrpc::testing::IsOk())
#define EXPECT_OK(expression) EXPECT_THAT(expression, ::spoolrpc::testing::IsOk())

// ASSERT_OK_AND_ASSIGN(auto file, OpenFile(...)): ends the test when the StatusOr holds an error.
#define ASSERT_OK_AND_ASSIGN(target, expression)                                   \
  auto SPOOLRPC_CONCAT(status_or_, __LINE__) = (expression);                       \
  ASSERT_THAT(SPOOLRPC_CONCAT(status_or_, __LINE__), ::spoolrpc::testing::IsOk()); \
  target = *std::move(SPOOLRPC_CONCAT(status_or_, __LINE__))

#endif  // SPOOLRPC_TESTS_TESTING_STATUS_MATCHERS_H_
