// Members of a group who mean ill: what they put into the spool is found to be theirs, whatever it
// says, and hinders nobody but those it was aimed at.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/durable_store.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/session_directory.h"
#include "spoolrpc/spool/verdict.h"
#include "tests/auth/users_fixture.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::auth_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::StatusIs;

class HostileMemberTest : public UsersTest {
 protected:
  std::shared_ptr<const spool::Spool> Open() {
    auto opened = spool::Spool::Open(os::Environment{}, spool(), GetParam());
    EXPECT_OK(opened);
    return *std::move(opened);
  }
  static void Give(const std::string& path, uint32_t uid) {
    ASSERT_EQ(lchown(path.c_str(), uid, kGroup), 0) << path;
  }
  static void GiveAll(const std::string& directory, uint32_t uid) {
    Give(directory, uid);
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      Give(entry.path(), uid);
    }
  }
  // Writes a file of that user's.
  static void Plant(const std::string& path, const std::string& content, uint32_t uid) {
    // Under its name only once it is that user's.
    const std::string temporary = path.substr(0, path.find("/spool/")) + "/planted";
    ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), temporary, content, 0640, false));
    Give(temporary, uid);
    ASSERT_OK(os::Rename(os::SystemCalls::Real(), temporary, path));
  }
  // What the server says to a session that belongs to kMember but for what `spoil` changes.
  absl::StatusOr<spool::VerdictRecord> Verdict(
      const std::function<void(const std::string& directory)>& spoil) {
    const auto spool = Open();
    auto servers = spool::ServerList(spool).Refresh();
    if (!servers.ok()) return servers.status();
    auto session = spool::SessionDirectory::Create(spool, servers->front(), 65536, 10'000'000'000);
    if (!session.ok()) return session.status();
    const std::string& requests = (*session)->requests_path();
    const std::string directory = requests.substr(0, requests.rfind('/'));
    GiveAll(directory, kMember);
    spoil(directory);
    if (absl::Status s = (*session)->Publish(); !s.ok()) return s;
    absl::StatusOr<spool::VerdictRecord> verdict;
    // (The test, which is root, does not mind whose it is.)
    const spool::VerdictParties parties{kOwner, kMember};
    failure::Await(kLong, [&] {
      verdict =
          spool::LookForVerdict(*spool, (*session)->paths().verdict, (*session)->id(), parties);
      return verdict.ok();
    });
    (*session)->Remove();
    return verdict;
  }
  void ExpectRefused(const std::function<void(const std::string& directory)>& spoil,
                     const std::string& detail) {
    ASSERT_OK_AND_ASSIGN(const auto verdict, Verdict(spoil));
    EXPECT_EQ(verdict.verdict(), spool::VerdictRecord::REFUSED);
    EXPECT_THAT(verdict.detail(), HasSubstr(detail));
  }
  // Submits a call as kMember; the ticket.
  std::string Submit() {
    const std::string said = Run(kMember, {"submit"});
    EXPECT_THAT(said, StartsWith("OK "));
    return said.substr(3);
  }
};
SPOOLRPC_AS_USERS(HostileMemberTest);

TEST_P(HostileMemberTest, SessionMadeOfSomebodyElsesFilesIsRefused) {
  const auto server = ServeGroup();
  ASSERT_OK_AND_ASSIGN(const auto good, Verdict([](const std::string&) {}));
  EXPECT_EQ(good.verdict(), spool::VerdictRecord::ACCEPTED);
  ExpectRefused([](const std::string& directory) { Give(directory, kOtherMember); }, "65003");
  ExpectRefused([](const std::string& directory) { Give(directory + "/record", kOtherMember); },
                "65003");
  ExpectRefused([](const std::string& directory) { Give(directory + "/requests", kOtherMember); },
                "65003");
  // A second name of somebody's log; a name that points to it.
  const std::string other = spool() + "/sessions/.tmp-other";
  ExpectRefused(
      [&](const std::string& directory) {
        ASSERT_EQ(link((directory + "/requests").c_str(), other.c_str()), 0);
      },
      "2 links");
  ExpectRefused(
      [&](const std::string& directory) {
        ASSERT_EQ(unlink((directory + "/requests").c_str()), 0);
        ASSERT_EQ(symlink(other.c_str(), (directory + "/requests").c_str()), 0);
      },
      "requests");
  ExpectRefused([](const std::string& directory) { GiveAll(directory, 65534); }, "nobody");
  EXPECT_THAT(Run(kMember, {"ask"}), StartsWith("OK "));
}

TEST_P(HostileMemberTest, ServerOfAnUnlistedUserGetsNoCalls) {
  { const auto server = ServeGroup(); }
  EXPECT_THAT(Run(kMember, {"serve"}), AllOf(StartsWith("FAILED_PRECONDITION"), HasSubstr(spool()),
                                             HasSubstr("uid 65002"), HasSubstr("set_server_uids")));
  const auto intruder = Start(kMember, {"intrude"});
  ASSERT_EQ(intruder->NextLine(kLong).value_or(""), "OK published");
  EXPECT_THAT(Run(kOtherMember, {"ask", "--ack_timeout=1s"}),
              AllOf(StartsWith("UNAVAILABLE NO_SERVER"), HasSubstr("belongs to uid 65002"),
                    HasSubstr("has not allowed to serve")));
  EXPECT_TRUE(Names("/sessions").empty());
  // Its owner allows it, and it is believed.
  { const auto server = ServeGroup({"--server_uids=65002"}); }
  intruder->Kill();
  const auto server = Serve(kMember, {});
  EXPECT_EQ(Run(kOtherMember, {"ask"}), absl::StrCat("OK why ", kOtherMember, " ", kGroup));
}

TEST_P(HostileMemberTest, RequestToStopAndExclusiveNameOfAnUnlistedUserDoNotCount) {
  const auto server = ServeGroup({"--exclusive"});
  ASSERT_EQ(access((spool() + "/servers/exclusive.1").c_str(), F_OK), 0);
  std::string name;
  for (const std::string& one : Names("/servers")) {
    if (one.size() == 32) name = one;
  }
  spool::StopRecord stop;
  ASSERT_TRUE(spool::ParseIdName(name, stop.mutable_server_id()));
  const std::string own = absl::StrCat(spool(), "/servers/", name);
  Plant(own + "/inbox/stop.1", spool::EncodeRecord(spool::RecordKind::kStop, stop), kMember);
  Plant(own + "/inbox/stop.1000000", "", kMember);
  spool::ExclusiveRecord taken;
  for (const uint32_t number : {2, 1000000}) {
    taken.set_number(number);
    Plant(absl::StrCat(spool(), "/servers/exclusive.", number),
          spool::EncodeRecord(spool::RecordKind::kExclusive, taken), kMember);
  }
  // It looks whether it still has the spool each time it renews its lease.
  const auto renewed = [&] {
    const auto info = os::StatPath(os::SystemCalls::Real(), own + "/lease");
    return info.ok() ? info->modified_ns : 0;
  };
  for (int i = 0; i < 2; ++i) {
    const int64_t before = renewed();
    EXPECT_TRUE(failure::Await(kLong, [&] { return renewed() != before; }));
  }
  EXPECT_THAT(Run(kMember, {"ask"}), StartsWith("OK "));
  EXPECT_THAT(Run(kOwner, {"serve"}), StartsWith("ALREADY_EXISTS"));
  EXPECT_FALSE(server->Ended());
  EXPECT_EQ(Run(kOwner, {"stop"}), "OK asked 1");
  EXPECT_EQ(server->AwaitExit(kLong).value_or(-1), 0);
  const auto next = ServeGroup({"--exclusive"});
  EXPECT_EQ(Names("/servers").size(), 6);  // itself, 1, 2, 3 (given back), 4, 1000000
}

TEST_P(HostileMemberTest, VerdictOfAThirdUserIsBelievedByNobody) {
  const auto server = ServeGroup();
  server->Send(SIGSTOP);
  const auto client = Start(kMember, {"ask"});
  ASSERT_TRUE(failure::Await(kLong, [&] {
    const auto names = Names("/sessions");
    return names.size() == 1 && names.front()[0] != '.';
  }));
  const std::string session = Names("/sessions").front();
  spool::VerdictRecord forged;
  std::string id;
  ASSERT_TRUE(spool::ParseIdName(session, &id));
  forged.set_session_id(id);
  forged.set_verdict(spool::VerdictRecord::ACCEPTED);
  const std::string temporary = spool() + "/.tmp-forged";
  Plant(temporary, spool::EncodeRecord(spool::RecordKind::kVerdict, forged), kOtherMember);
  const std::string verdict =
      absl::StrCat(spool(), "/servers/", Names("/servers").front(), "/verdicts/", session);
  ASSERT_OK(os::Rename(os::SystemCalls::Real(), temporary, verdict));
  EXPECT_THAT(client->NextLine(kLong).value_or(""),
              AllOf(StartsWith("PERMISSION_DENIED"), HasSubstr("uid 65003")));
  server->Send(SIGCONT);
  EXPECT_THAT(Run(kMember, {"ask"}), StartsWith("OK "));
}

TEST_P(HostileMemberTest, ForgedReplyOfADurableCallIsNotBelieved) {
  { const auto server = ServeGroup(); }
  const std::string ticket = Submit();
  spool::DurableReplyRecord reply;
  reply.set_ticket(absl::HexStringToBytes(ticket));
  *reply.mutable_body() = spool::DescribeBody(spool::RecordKind::kDurableReply, "");
  Plant(absl::StrCat(spool(), "/durable/", ticket, "/reply"),
        spool::EncodeRecord(spool::RecordKind::kDurableReply, reply), kOtherMember);
  EXPECT_THAT(Run(kMember, {"collect", "--ticket=" + ticket}),
              AllOf(StartsWith("DATA_LOSS SESSION_CORRUPT"), HasSubstr("uid 65003")));
}

TEST_P(HostileMemberTest, AnotherUsersDurableCallIsNeitherCancelledNorDeleted) {
  { const auto server = ServeGroup(); }
  const std::string ticket = Submit();
  EXPECT_THAT(Run(kOtherMember, {"cancel", "--ticket=" + ticket}),
              AllOf(StartsWith("PERMISSION_DENIED"), HasSubstr(ticket)));
  EXPECT_THAT(Run(kOtherMember, {"delete", "--ticket=" + ticket}),
              AllOf(StartsWith("PERMISSION_DENIED"), HasSubstr(ticket)));
  const auto server = ServeGroup();
  EXPECT_EQ(Run(kMember, {"collect", "--ticket=" + ticket}),
            absl::StrCat("OK why ", kMember, " ", kGroup));
  EXPECT_EQ(Run(kMember, {"delete", "--ticket=" + ticket}), "OK deleted");
  EXPECT_TRUE(failure::Await(kLong, [&] { return Names("/durable").empty(); }));
}

TEST_P(HostileMemberTest, DurableCallInAnotherUsersNameIsNotExecuted) {
  { const auto server = ServeGroup(); }
  const std::string ticket = Submit();
  // The directory is another's than the call.
  Give(absl::StrCat(spool(), "/durable/", ticket), kOtherMember);
  const auto server = ServeGroup();
  EXPECT_THAT(Run(kOtherMember, {"collect", "--ticket=" + ticket}), HasSubstr("uid 65002"));
  const std::string path = absl::StrCat("/durable/", ticket);
  EXPECT_TRUE(failure::Await(kLong, [&] { return Names(path).size() == 2; }));
  EXPECT_EQ(access(absl::StrCat(spool(), path, "/started").c_str(), F_OK), -1);
}

}  // namespace
}  // namespace spoolrpc::auth_test
