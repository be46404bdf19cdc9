// A spool that a group shares: its members call its owner's server, and nobody else does.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tests/auth/users_fixture.h"

namespace spoolrpc::auth_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class GroupSpoolTest : public UsersTest {
 protected:
  struct Entry {
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
  };
  Entry At(const std::string& path) const {
    struct stat info = {};
    EXPECT_EQ(lstat(absl::StrCat(spool(), path).c_str(), &info), 0) << path;
    return {info.st_mode & 07777, info.st_uid, info.st_gid};
  }
  void Expect(const std::string& path, uint32_t mode, uint32_t uid) const {
    const Entry entry = At(path);
    EXPECT_EQ(entry.mode, mode) << path << std::oct << " has " << entry.mode;
    EXPECT_EQ(entry.uid, uid) << path;
    EXPECT_EQ(entry.gid, kGroup) << path;
  }
  std::string OnlyName(const std::string& directory) const {
    const auto names = Names(directory);
    EXPECT_EQ(names.size(), 1) << directory;
    return names.empty() ? "" : names.front();
  }
};
SPOOLRPC_AS_USERS(GroupSpoolTest);

TEST_P(GroupSpoolTest, MemberCallsAndTheHandlerLearnsHisUidFromTheKernel) {
  const auto server = ServeGroup();
  const std::string identity = absl::StrCat("why ", kMember, " ", kGroup);
  EXPECT_EQ(Run(kMember, {"ask"}), absl::StrCat("OK ", identity));
  EXPECT_EQ(Run(kMember, {"stream"}), absl::StrCat("OK 3 ", identity));
  EXPECT_EQ(Run(kOwner, {"ask"}), absl::StrCat("OK why ", kOwner, " ", kGroup));
}

TEST_P(GroupSpoolTest, LargeMessagesOfAMemberAreCopiedFromHisBuffers) {
  const auto server = ServeGroup();
  const auto client = Start(kMember, {"hold", "--text_bytes=1000000"});
  const auto said = client->NextLine(kLong);
  ASSERT_TRUE(said.has_value());
  EXPECT_EQ(*said, absl::StrCat("OK 1000000 bytes ", kMember, " ", kGroup));
  if (network()) return;
  // Each has his own, which the other only reads.
  const std::string session = absl::StrCat("/sessions/", OnlyName("/sessions"));
  Expect(session + "/bulk.1", 0640, kMember);
  const std::string server_half = absl::StrCat("/servers/", OnlyName("/servers"), session);
  Expect(server_half + "/bulk.1", 0640, kOwner);
}

TEST_P(GroupSpoolTest, ModesLetEachWriteOnlyWhatIsHis) {
  const auto server = ServeGroup();
  const auto client = Start(kMember, {"hold"});
  ASSERT_TRUE(client->NextLine(kLong).has_value());
  Expect("", 03770, kOwner);
  Expect("/format", 0640, kOwner);
  for (const char* name : {"/servers", "/sessions", "/durable", "/logs"}) {
    Expect(name, 03770, kOwner);
  }
  const std::string own = absl::StrCat("/servers/", OnlyName("/servers"));
  Expect(own, 02750, kOwner);
  Expect(own + "/record", 0640, kOwner);
  Expect(own + "/lease", 0640, kOwner);
  Expect(own + "/inbox", 03770, kOwner);
  Expect(own + "/verdicts", 03770, kOwner);
  Expect(own + "/sessions", 02750, kOwner);
  const std::string session = OnlyName("/sessions");
  Expect(own + "/verdicts/" + session, 0640, kOwner);
  Expect(own + "/sessions/" + session, 02750, kOwner);
  Expect(own + "/sessions/" + session + "/responses", 0640, kOwner);
  Expect("/sessions/" + session, 02750, kMember);
  Expect("/sessions/" + session + "/record", 0640, kMember);
  Expect("/sessions/" + session + "/requests", 0640, kMember);
  // Whoever could write to a doorbell could truncate it under its owner's feet.
  if (!network()) {
    EXPECT_EQ(At(own + "/doorbell").mode, 0600);
  }
  EXPECT_NE(access(absl::StrCat(spool(), "/sessions/", session, "/doorbell").c_str(), F_OK), 0);
}

TEST_P(GroupSpoolTest, OutsiderIsToldThatHeIsNoMember) {
  const auto server = ServeGroup();
  EXPECT_THAT(Run(kOutsider, {"ask"}),
              AllOf(StartsWith("PERMISSION_DENIED SPOOL_UNUSABLE"), HasSubstr(spool()),
                    HasSubstr("group 65100"), HasSubstr("no member")));
}

TEST_P(GroupSpoolTest, OwnersSpoolIsForHimAlone) {
  const auto server = Serve(kOwner, {});
  EXPECT_EQ(Run(kOwner, {"ask"}), absl::StrCat("OK why ", kOwner, " ", kOwner));
  EXPECT_THAT(Run(kMember, {"ask"}),
              AllOf(StartsWith("PERMISSION_DENIED SPOOL_UNUSABLE"), HasSubstr(spool()),
                    HasSubstr("uid 65001's alone"), HasSubstr("set_group")));
}

TEST_P(GroupSpoolTest, OwnerSharesASpoolThatIsThere) {
  { const auto server = Serve(kOwner, {}); }
  const auto server = ServeGroup();
  Expect("/format", 0640, kOwner);
  EXPECT_THAT(Run(kMember, {"ask"}), StartsWith("OK "));
}

TEST_P(GroupSpoolTest, SpoolIsNotSharedWithAGroupThatItsOwnerIsNotIn) {
  EXPECT_THAT(Run(kOwner, {"serve", "--group=65199"}),
              AllOf(HasSubstr(spool()), HasSubstr("65199"), HasSubstr("member")));
  EXPECT_THAT(Run(kOwner, {"serve", "--group=no-such-group"}), HasSubstr("no-such-group"));
}

TEST_P(GroupSpoolTest, WhatADeadClientLeftIsRemovedByTheNextOfHisUser) {
  const auto server = ServeGroup();
  {
    const auto client = Start(kMember, {"hold"});
    ASSERT_TRUE(client->NextLine(kLong).has_value());
    client->Kill();
  }
  const std::string left = OnlyName("/sessions");
  // Another member can do nothing about it, nor can the owner.
  EXPECT_EQ(Run(kOtherMember, {"gc"}), "OK removed 0");
  EXPECT_EQ(Run(kOwner, {"gc"}), "OK removed 0");
  EXPECT_THAT(Run(kOtherMember, {"ask"}), StartsWith("OK "));
  EXPECT_TRUE(failure::Await(kLong, [&] { return Names("/sessions").size() == 1; }));
  EXPECT_EQ(OnlyName("/sessions"), left);
  EXPECT_THAT(Run(kMember, {"ask"}), StartsWith("OK "));
  EXPECT_TRUE(failure::Await(kLong, [&] { return Names("/sessions").empty(); }));
  // And then the server removes the verdict.
  const std::string own = absl::StrCat("/servers/", OnlyName("/servers"));
  EXPECT_TRUE(failure::Await(kLong, [&] { return Names(own + "/verdicts").empty(); }));
}

TEST_P(GroupSpoolTest, MemberCollectsWhatHisDeadClientLeftOnAServerThatLives) {
  const auto server = ServeGroup();
  {
    const auto client = Start(kMember, {"hold"});
    ASSERT_TRUE(client->NextLine(kLong).has_value());
    client->Kill();
  }
  EXPECT_EQ(Run(kMember, {"gc"}), "OK removed 1");
  EXPECT_TRUE(Names("/sessions").empty());
}

TEST_P(GroupSpoolTest, DeadServerIsRemovedByItsUserAndRootOnly) {
  {
    const auto first = ServeGroup({"--server_uids=65002"});
    const auto server = Serve(kMember, {});
    server->Kill();
    EXPECT_EQ(Run(kOwner, {"gc"}), "OK removed 0");
    EXPECT_EQ(Run(kOtherMember, {"gc"}), "OK removed 0");
    EXPECT_EQ(Names("/servers").size(), 2);
    EXPECT_EQ(Run(kMember, {"gc"}), "OK removed 1");
    EXPECT_EQ(Names("/servers").size(), 1);
    first->Kill();
  }
  EXPECT_EQ(Run(0, {"gc"}), "OK removed 1");
  EXPECT_TRUE(Names("/servers").empty());
}

TEST_P(GroupSpoolTest, ServersStopForWhoMayServe) {
  const auto owners = ServeGroup({"--server_uids=65002"});
  const auto members = Serve(kMember, {});
  EXPECT_THAT(Run(kOtherMember, {"stop"}),
              AllOf(StartsWith("PERMISSION_DENIED"), HasSubstr(spool()), HasSubstr("uid 65003")));
  EXPECT_EQ(Run(kOwner, {"stop"}), "OK asked 2");
  EXPECT_EQ(owners->AwaitExit(kLong).value_or(-1), 0);
  EXPECT_EQ(members->AwaitExit(kLong).value_or(-1), 0);
  EXPECT_TRUE(Names("/servers").empty());
  const auto again = Serve(kMember, {});
  EXPECT_EQ(Run(0, {"stop"}), "OK asked 1");
  EXPECT_EQ(again->AwaitExit(kLong).value_or(-1), 0);
}

TEST_P(GroupSpoolTest, ListedUserHasTheSpoolForHimself) {
  const auto owners = ServeGroup({"--server_uids=65002"});
  const auto server = Serve(kMember, {"--exclusive"});
  EXPECT_EQ(owners->AwaitExit(kLong).value_or(-1), 0);
  Expect("/servers/exclusive.1", 0640, kMember);
  EXPECT_THAT(Run(kOwner, {"serve"}),
              AllOf(StartsWith("ALREADY_EXISTS"), HasSubstr("served exclusively")));
  EXPECT_EQ(Run(kOtherMember, {"ask"}), absl::StrCat("OK why ", kOtherMember, " ", kGroup));
}

}  // namespace
}  // namespace spoolrpc::auth_test
