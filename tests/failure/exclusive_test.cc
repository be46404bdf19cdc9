// Servers that want the spool for themselves: at most one serves, whatever starts at the same
// moment, is killed, or comes back from a stop.
#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/failure/make_call.h"
#include "tests/failure/spool_fixture.h"

namespace spoolrpc::failure {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(3);
constexpr absl::Duration kShortTerm = absl::Milliseconds(600);

class ExclusiveTest : public SettingTest {
 protected:
  // What a server says first: "ready", or "failed " and why.
  static std::string Said(Process* server) { return server->NextLine(kLong).value_or("nothing"); }
  void ExpectRefused(Process* server, const Process& by) {
    const std::string said = Said(server);
    EXPECT_TRUE(absl::StartsWith(said, "failed ALREADY_EXISTS")) << said;
    EXPECT_TRUE(absl::StrContains(said, absl::StrCat("pid ", by.pid(), ";"))) << said;
    const std::string host =
        setting_.other_host ? absl::StrCat("host-of-", by.pid()) : os::Host::Real()->Self().host;
    EXPECT_TRUE(absl::StrContains(said, absl::StrCat(" on ", host, ","))) << said;
    EXPECT_EQ(server->AwaitExit(kLong).value_or(-1), 1);
  }
  Result Call(Channel* channel, const std::string& id) {
    const auto stub =
        Failure::NewStub(std::shared_ptr<ChannelInterface>(channel, [](ChannelInterface*) {}));
    ClientContext context;
    Work work;
    work.set_id(id);
    return MakeCall(stub.get(), "CountedAppend", &context, work);
  }
  size_t Directories() const {
    const auto status = QuerySpool(spool());
    return status.ok() ? status->servers.size() : 0;
  }
};

TEST_P(ExclusiveTest, ASecondServerIsRefusedWithTheFirstOnesHostAndPid) {
  const auto first = StartServer(kTerm, {"--exclusive=refuse"});
  ExpectRefused(LaunchServer(kTerm, {"--exclusive=refuse"}).get(), *first);
  ExpectRefused(LaunchServer(kTerm).get(), *first);
  EXPECT_EQ(Directories(), 1) << ListFiles();
  const Result result = Call(MakeChannel().get(), "call");
  EXPECT_EQ(result.server_pid, first->pid()) << result;
  Drain(first.get());
  // It has given the spool back.
  const auto second = StartServer(kTerm, {"--exclusive=refuse"});
  Drain(second.get());
  const auto third = StartServer(kTerm);
  const auto fourth = StartServer(kTerm);
}

TEST_P(ExclusiveTest, BesideAServerThatSharesItIsRefused) {
  const auto first = StartServer(kTerm);
  ExpectRefused(LaunchServer(kTerm, {"--exclusive=refuse"}).get(), *first);
  // It has left nothing that keeps others out.
  const auto second = StartServer(kTerm);
}

TEST_P(ExclusiveTest, AKilledServerDoesNotBlock) {
  for (const char* mode : {"--exclusive=refuse", "--exclusive=force"}) {
    const auto server = StartServer(kShortTerm, {mode});
    server->Kill();
  }
  const auto shared = StartServer(kShortTerm);
  shared->Kill();
  const auto last = StartServer(kShortTerm, {"--exclusive=refuse"});
  const Result result = Call(MakeChannel().get(), "call");
  EXPECT_EQ(result.server_pid, last->pid()) << result;
}

TEST_P(ExclusiveTest, ForceTakesOverFromAServerAtWorkAndNoCallIsLost) {
  auto server = StartServer(kTerm, {"--exclusive=refuse"});
  const auto client =
      StartClient({"--id=client", "--calls=-1", "--threads=3", "--microseconds=2000",
                   "--ack_timeout=60s", absl::StrCat("--until=", file("enough"))});
  for (int i = 0; i < 3; ++i) {
    const size_t so_far = executions().executed.size();
    ASSERT_TRUE(AwaitExecutions(so_far + 10));
    auto next = StartServer(kTerm, {"--exclusive=force"});
    EXPECT_EQ(server->AwaitExit(kLong).value_or(-1), 0) << "the former server has failed";
    server = std::move(next);
  }
  const size_t so_far = executions().executed.size();
  ASSERT_TRUE(AwaitExecutions(so_far + 10));
  Touch(file("enough"));
  for (const Result& result : AwaitResults(client.get())) EXPECT_TRUE(result.ok()) << result;
  for (const auto& [id, times] : executions().executed) EXPECT_EQ(times, 1) << id;
}

TEST_P(ExclusiveTest, ForceCancelsWhatRunsAfterItsGrace) {
  const auto first = StartServer(kTerm);
  const auto client = StartClient({"--id=held", absl::StrCat("--hold_until=", file("never"))});
  ASSERT_TRUE(AwaitExecutions(1));
  const auto second = StartServer(kTerm, {"--exclusive=force", "--grace=100ms"});
  EXPECT_EQ(first->AwaitExit(kLong).value_or(-1), 0);
  const auto results = AwaitResults(client.get());
  ASSERT_EQ(results.size(), 1);
  EXPECT_FALSE(results[0].ok()) << results[0];
}

TEST_P(ExclusiveTest, OfManyThatStartAtOnceOneServes) {
  for (int round = 0; round < 4; ++round) {
    std::vector<std::unique_ptr<Process>> servers;
    servers.reserve(6);
    for (int i = 0; i < 6; ++i) {
      servers.push_back(LaunchServer(kShortTerm, {"--exclusive=refuse"}));
    }
    Process* winner = nullptr;
    for (const auto& server : servers) {
      const std::string said = Said(server.get());
      if (said == "ready") {
        EXPECT_EQ(winner, nullptr) << "two servers have the spool for themselves";
        winner = server.get();
      } else {
        EXPECT_TRUE(absl::StartsWith(said, "failed ALREADY_EXISTS")) << said;
      }
    }
    ASSERT_NE(winner, nullptr) << "nobody serves";
    Drain(winner);
  }
}

// Those that share give way, or the others do; never do both serve.
TEST_P(ExclusiveTest, OfServersOfBothKindsThatStartAtOnceOneKindServes) {
  for (int round = 0; round < 4; ++round) {
    std::vector<std::unique_ptr<Process>> servers;
    servers.reserve(6);
    for (int i = 0; i < 6; ++i) {
      const bool alone = i % 2 == round % 2;
      servers.push_back(
          LaunchServer(kShortTerm, alone ? std::vector<std::string>{"--exclusive=refuse"}
                                         : std::vector<std::string>{}));
    }
    int alone = 0;
    int shared = 0;
    std::vector<Process*> serving;
    for (int i = 0; i < 6; ++i) {
      const std::string said = Said(servers[i].get());
      if (said == "ready") {
        ++(i % 2 == round % 2 ? alone : shared);
        serving.push_back(servers[i].get());
      } else {
        EXPECT_TRUE(absl::StartsWith(said, "failed ALREADY_EXISTS")) << said;
      }
    }
    EXPECT_TRUE(alone <= 1 && (alone == 0 || shared == 0)) << alone << " beside " << shared;
    EXPECT_GT(alone + shared, 0);
    for (Process* const server : serving) Drain(server);
  }
}

TEST_P(ExclusiveTest, AServerThatComesBackAfterItsLeaseExecutesNothing) {
  const auto first = StartServer(kShortTerm, {"--exclusive=refuse"});
  // Has an idle session with the first server, whose lease nobody watches.
  const auto channel = MakeChannel();
  ASSERT_EQ(Call(channel.get(), "before").server_pid, first->pid());
  first->Send(SIGSTOP);
  // One that was seen a moment ago is in the way until its lease has expired.
  const auto expired = [&] {
    const auto status = QuerySpool(spool());
    return status.ok() && status->servers.size() == 1 &&
           status->servers[0].state == ServerStatus::State::kUnresponsive;
  };
  ASSERT_TRUE(Await(kLong, expired));
  const auto second = StartServer(kShortTerm, {"--exclusive=refuse"});
  first->Send(SIGCONT);
  int by_first = 0;
  for (int i = 0; i < 20; ++i) {
    const Result result = Call(channel.get(), absl::StrCat("after", i));
    if (result.server_pid == first->pid()) ++by_first;
  }
  EXPECT_EQ(by_first, 0) << "a server that had lost the spool went on";
  EXPECT_TRUE(first->AwaitExit(kLong).has_value()) << "it does not step down";
  const Result last = Call(MakeChannel().get(), "last");
  EXPECT_EQ(last.server_pid, second->pid()) << last;
  for (const auto& [id, times] : executions().executed) EXPECT_EQ(times, 1) << id;
}

INSTANTIATE_TEST_SUITE_P(All, ExclusiveTest, ::testing::Values(kLocal, kNetwork, kOtherHost),
                         SettingName);

}  // namespace
}  // namespace spoolrpc::failure
