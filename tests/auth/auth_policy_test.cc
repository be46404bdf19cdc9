// Whom a server's AuthPolicy refuses learns it, and why; the others call.
#include <pwd.h>

#include "absl/strings/str_cat.h"
#include "tests/auth/users_fixture.h"

namespace spoolrpc::auth_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class AuthPolicyTest : public UsersTest {
 protected:
  void ExpectAllowed(uint32_t uid) {
    EXPECT_THAT(Run(uid, {"ask"}), StartsWith(absl::StrCat("OK why ", uid)));
  }
  void ExpectRefused(uint32_t uid, const std::string& why) {
    EXPECT_THAT(Run(uid, {"ask"}),
                AllOf(StartsWith("PERMISSION_DENIED PERMISSION_DENIED"),
                      HasSubstr(absl::StrCat("belongs to uid ", uid)), HasSubstr(why)));
  }
};
SPOOLRPC_AS_USERS(AuthPolicyTest);

TEST_P(AuthPolicyTest, OnlyListedUsersCall) {
  const auto server = ServeGroup({"--allowed_uids=65002"});
  ExpectAllowed(kMember);
  ExpectRefused(kOtherMember, "ask whoever runs the server");
  ExpectRefused(kOwner, "65002");
}

TEST_P(AuthPolicyTest, CallbackHasTheLastWord) {
  const auto server = ServeGroup({"--disliked_uid=65003"});
  ExpectAllowed(kMember);
  ExpectRefused(kOtherMember, "not on Sundays");
}

TEST_P(AuthPolicyTest, MembersOfListedGroupsCall) {
  // By the files' group, and by the user database.
  {
    const auto server = ServeGroup({"--allowed_gids=65100"});
    ExpectAllowed(kMember);
  }
  const passwd* const daemon = getpwnam("daemon");
  if (daemon == nullptr) GTEST_SKIP() << "there is no user daemon";
  const auto server = ServeGroup({absl::StrCat("--allowed_gids=", daemon->pw_gid)});
  ExpectAllowed(daemon->pw_uid);
  ExpectRefused(kMember, absl::StrCat("gids: ", daemon->pw_gid));
}

TEST_P(AuthPolicyTest, AnotherServerMayAllowWhatOneDoesNot) {
  const auto strict = ServeGroup({"--allowed_uids=65003"});
  const auto kind = ServeGroup();
  for (int i = 0; i < 5; ++i) ExpectAllowed(kMember);
}

TEST_P(AuthPolicyTest, DurableCallOfARefusedUserEndsWithTheReason) {
  const auto server = ServeGroup({"--allowed_uids=65002"});
  for (const uint32_t uid : {kMember, kOtherMember}) {
    const std::string submitted = Run(uid, {"submit"});
    ASSERT_THAT(submitted, StartsWith("OK "));
    const std::string ticket = absl::StrCat("--ticket=", submitted.substr(3));
    const std::string collected = Run(uid, {"collect", ticket});
    if (uid == kMember) {
      EXPECT_EQ(collected, absl::StrCat("OK why ", uid, " ", kGroup));
    } else {
      EXPECT_THAT(collected, AllOf(StartsWith("PERMISSION_DENIED PERMISSION_DENIED"),
                                   HasSubstr("belongs to uid 65003")));
    }
    EXPECT_EQ(Run(uid, {"delete", ticket}), "OK deleted");
    EXPECT_TRUE(Names(absl::StrCat("/durable/", submitted.substr(3))).empty());
  }
}

}  // namespace
}  // namespace spoolrpc::auth_test
