// The methods that a server offers.
#include "spoolrpc/server/method_table.h"

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::server {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

constexpr MethodInfo kMethods[] = {{"/a.B/One"}, {"/a.B/Two"}};
constexpr ServiceInfo kService = {"a.B", kMethods, 2, 7};

class TestService final : public Service {
 public:
  TestService() : Service(&kService) {
    for (const MethodInfo& method : kMethods) AddMethod(&method, nullptr);
  }
};

TEST(MethodTableTest, FindsByFullName) {
  TestService service;
  MethodTable table;
  ASSERT_OK(table.Add(&service));
  ASSERT_NE(table.Find("/a.B/One"), nullptr);
  EXPECT_EQ(&table.Find("/a.B/Two")->info(), &kMethods[1]);
  EXPECT_EQ(table.Find("/a.B/Three"), nullptr);
  EXPECT_EQ(table.Find(""), nullptr);
  EXPECT_TRUE(table.HasService("a.B"));
  EXPECT_FALSE(table.HasService("a.C"));
  EXPECT_FALSE(table.HasService(""));
}

TEST(MethodTableTest, TheSameServiceTwiceIsRefused) {
  TestService one;
  TestService two;
  MethodTable table;
  ASSERT_OK(table.Add(&one));
  EXPECT_THAT(table.Add(&two), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("a.B")));
}

TEST(MethodEntryTest, UsualTimeFollowsTheHandlersTimes) {
  MethodEntry entry(&kMethods[0], nullptr);
  EXPECT_LT(entry.usual_time(), 0);
  entry.OnRun(1000);
  EXPECT_EQ(entry.usual_time(), 1000);
  for (int i = 0; i < 100; ++i) entry.OnRun(100'000);
  EXPECT_GT(entry.usual_time(), 90'000);
  for (int i = 0; i < 100; ++i) entry.OnRun(0);
  EXPECT_LT(entry.usual_time(), 1000);
  EXPECT_GE(entry.usual_time(), 0);
}

}  // namespace
}  // namespace spoolrpc::server
