// A channel that lives for years sees servers come and go: what it remembers of them is bounded.
#include "spoolrpc/client/shun_list.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace spoolrpc::client {
namespace {

TEST(ShunListTest, AServerIsShunnedUntilItsTimeIsOver) {
  ShunList list;
  list.Add("a", 100);
  EXPECT_TRUE(list.Contains("a", 99));
  EXPECT_FALSE(list.Contains("a", 100));
  EXPECT_FALSE(list.Contains("b", 99));
  list.Add("a", 200);
  EXPECT_TRUE(list.Contains("a", 100));
}

TEST(ShunListTest, ServersWhoseTimeIsOverAreForgotten) {
  ShunList list;
  for (int i = 0; i < 100000; ++i) {
    list.Prune(i);
    list.Add(absl::StrCat("server", i), i + 10);
    ASSERT_LE(list.size(), 10);
  }
  EXPECT_TRUE(list.Contains("server99999", 100000));
  list.Prune(200000);
  EXPECT_EQ(list.size(), 0);
}

}  // namespace
}  // namespace spoolrpc::client
