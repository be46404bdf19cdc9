// `spoolrpc gc` on spools in which processes were killed in the middle of everything, and beside
// calls that run.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "spoolrpc/os/file.h"
#include "tests/failure/make_call.h"
#include "tests/failure/spool_fixture.h"

namespace spoolrpc::failure {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(5);

struct Outcome {
  int status;
  std::vector<std::string> lines;
  std::string text() const { return absl::StrJoin(lines, "\n"); }
};

class GcTest : public SettingTest {
 protected:
  static Outcome RunSpoolrpc(const std::vector<std::string>& arguments) {
    const auto process = Process::Start("cli/spoolrpc", arguments);
    Outcome outcome{-1, {}};
    while (auto line = process->NextLine(kLong)) outcome.lines.push_back(*std::move(line));
    outcome.status = process->AwaitExit(kLong).value_or(-1);
    return outcome;
  }
  // Of other hosts only leases tell.
  Outcome Gc(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"gc", spool()});
    if (setting_.other_host) flags.push_back("--wait=60s");
    return RunSpoolrpc(flags);
  }
  static void AwaitKilled(Process* process) {
    EXPECT_EQ(process->AwaitExit(kLong).value_or(0), -SIGKILL) << "it was to be killed";
  }
  // A client with an open call, killed.
  void KillClientAtWork(const std::string& id) {
    const size_t so_far = executions().executed.size();
    const auto client = StartClient(
        {"--id=" + id, absl::StrCat("--hold_until=", file("never")), "--lease_term=200ms"});
    ASSERT_TRUE(AwaitExecutions(so_far + 1));
    client->Kill();
  }
  // What is neither a log of a server nor the spool's own.
  std::string Leftovers() const {
    std::string left;
    for (const char* directory : {"servers", "sessions", "durable"}) {
      const auto names = os::ListDirectory(os::SystemCalls::Real(), spool() + "/" + directory);
      if (!names.ok()) continue;
      for (const std::string& name : *names) {
        // Whether their makers are dead nobody can tell before an hour has passed.
        if (setting_.other_host && absl::StartsWith(name, ".tmp-")) continue;
        absl::StrAppend(&left, directory, "/", name, "\n");
      }
    }
    return left;
  }
};

TEST_P(GcTest, OfKilledProcessesNothingIsLeft) {
  constexpr absl::Duration kShort = absl::Milliseconds(400);
  // A server that was killed before it served, one while it took a session in, one at work.
  const auto unborn = LaunchServer(kShort, {"--die_at=rename:/servers/"});
  AwaitKilled(unborn.get());
  const auto accepting = StartServer(kShort, {"--die_at=link:/verdicts/"});
  const auto caller = StartClient({"--id=caller", "--lease_term=200ms", "--ack_timeout=60s"});
  AwaitKilled(accepting.get());
  caller->Kill();
  const auto working = StartServer(kShort);
  KillClientAtWork("killed");
  // Clients that were killed before they had a session, and before they had left a durable call.
  const auto early = StartClient({"--id=early", "--die_at=rename:/sessions/"});
  AwaitKilled(early.get());
  const auto caller_of_none = StartClient({"--durable", "--die_at=rename:/durable/"});
  AwaitKilled(caller_of_none.get());
  const auto last = StartClient(
      {"--id=last", absl::StrCat("--hold_until=", file("never")), "--lease_term=200ms"});
  ASSERT_TRUE(AwaitExecutions(2));
  working->Kill();
  last->Kill();
  ASSERT_NE(Leftovers(), "");
  const std::string before = ListFiles();
  const Outcome dry = Gc({"--dry-run"});
  EXPECT_EQ(dry.status, 0);
  EXPECT_EQ(ListFiles(), before) << "a dry run has removed something";
  const Outcome outcome = Gc();
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  EXPECT_EQ(Leftovers(), "") << outcome.text();
  // Both say the same of everything, in other words.
  ASSERT_FALSE(outcome.lines.empty());
  for (const std::string& line : outcome.lines) {
    EXPECT_TRUE(absl::StartsWith(line, "removed " + spool())) << line;
  }
  for (const std::string& line : dry.lines) {
    EXPECT_TRUE(absl::StartsWith(line, "would remove " + spool())) << line;
  }
  EXPECT_EQ(dry.lines.size(), outcome.lines.size()) << dry.text() << "\n--\n" << outcome.text();
  const Outcome again = Gc();
  EXPECT_EQ(again.status, 0);
  EXPECT_TRUE(absl::StartsWith(again.text(), "nothing to remove")) << again.text();
}

TEST_P(GcTest, NoCallFailsBesideIt) {
  const auto server = StartServer(kTerm);
  // Clients that come and go, and some that are killed, beside one that stays.
  const auto steady = StartClient(
      {"--id=steady", "--calls=-1", "--threads=2", absl::StrCat("--until=", file("enough"))});
  int removed = 0;
  for (int i = 0; i < 8; ++i) {
    const auto guest = StartClient({absl::StrCat("--id=guest", i), "--calls=20"});
    KillClientAtWork(absl::StrCat("killed", i));
    const auto early = StartClient({"--id=early", "--die_at=rename:/sessions/"});
    AwaitKilled(early.get());
    const Outcome outcome = RunSpoolrpc({"gc", spool()});
    EXPECT_EQ(outcome.status, 0) << outcome.text();
    for (const std::string& line : outcome.lines) removed += absl::StartsWith(line, "removed ");
    for (const Result& result : AwaitResults(guest.get())) EXPECT_TRUE(result.ok()) << result;
  }
  Touch(file("enough"));
  for (const Result& result : AwaitResults(steady.get())) EXPECT_TRUE(result.ok()) << result;
  std::cout << removed << " leftovers removed beside the calls" << std::endl;
  Drain(server.get());
}

TEST_P(GcTest, DurableCallsPastTheRetentionGoAndOthersStay) {
  if (setting_.other_host) GTEST_SKIP() << "nothing depends on where the caller was";
  const auto caller = StartClient({"--durable", "--calls=3"});
  std::vector<std::string> tickets;
  while (auto line = caller->NextLine(kLong)) tickets.push_back(*std::move(line));
  ASSERT_EQ(tickets.size(), 3);
  ASSERT_EQ(RunSpoolrpc({"ticket", "retention", "--spool=" + spool(), "--max_age=24h"}).status, 0);
  const timespec then = absl::ToTimespec(absl::Now() - absl::Hours(25));
  const timespec times[] = {then, then};
  const std::string old = absl::StrCat(spool(), "/durable/", tickets[1]);
  ASSERT_EQ(utimensat(AT_FDCWD, (old + "/call").c_str(), times, 0), 0);
  const Outcome dry = Gc({"--dry-run"});
  ASSERT_EQ(dry.lines.size(), 1) << dry.text();
  EXPECT_TRUE(absl::StartsWith(dry.lines[0], "would remove " + old)) << dry.text();
  EXPECT_TRUE(absl::StrContains(ListFiles(), old + "/call"));
  const Outcome outcome = Gc();
  EXPECT_EQ(outcome.lines.size(), 1) << outcome.text();
  EXPECT_FALSE(absl::StrContains(ListFiles(), old)) << ListFiles();
  for (const std::string& ticket : {tickets[0], tickets[2]}) {
    EXPECT_TRUE(absl::StrContains(ListFiles(), ticket + "/call")) << ticket;
  }
  // What stayed is executed.
  const auto server = StartServer(kTerm);
  EXPECT_TRUE(AwaitExecutions(2));
}

INSTANTIATE_TEST_SUITE_P(All, GcTest, ::testing::Values(kLocal, kOtherHost), SettingName);

}  // namespace
}  // namespace spoolrpc::failure
