// Durable calls and real processes: callers that exit, servers that compete, and servers that are
// killed wherever they are. No call is lost, and none is executed twice unless it is idempotent.
#include <iostream>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/failure/spool_fixture.h"
#include "tests/testing/seed.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::failure {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(1);

class DurableKillTest : public SettingTest {
 protected:
  std::unique_ptr<Failure::Stub> Stub() { return Failure::NewStub(MakeChannel()); }
  static Work WorkOf(const std::string& id, absl::Duration takes = absl::ZeroDuration()) {
    Work work;
    work.set_id(id);
    work.set_microseconds(absl::ToInt64Microseconds(takes));
    work.set_payload(id);
    return work;
  }
  // Each call ended well, or says why it may have been executed; and how often each was.
  void CheckOnce(Failure::Stub* stub, const std::map<std::string, Ticket>& tickets, int* lost) {
    *lost = 0;
    for (const auto& [id, ticket] : tickets) {
      const auto reply = stub->durable()->Collect<Done>(ticket, kLong);
      if (reply.ok()) {
        EXPECT_EQ(reply->payload(), id);
        EXPECT_EQ(executions().count(id), 1) << id;
        continue;
      }
      ++*lost;
      const auto info = GetErrorInfo(reply.status());
      ASSERT_TRUE(info.has_value()) << reply.status();
      if (info->reason() == ErrorInfo::NOT_STARTED) {
        EXPECT_EQ(executions().count(id), 0) << id << ": " << reply.status();
      } else {
        EXPECT_EQ(info->reason(), ErrorInfo::SERVER_LOST) << id << ": " << reply.status();
        EXPECT_TRUE(info->may_have_executed());
        EXPECT_LE(executions().count(id), 1) << id;
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(All, DurableKillTest, ::testing::Values(kLocal, kNetwork, kOtherHost),
                         SettingName);

TEST_P(DurableKillTest, TheCallerExitsAndAnotherProcessCollects) {
  const auto caller = StartClient({"--durable", "--calls=3", "--id=gone"});
  std::vector<Ticket> tickets;
  while (const auto line = caller->NextLine(kLong)) {
    ASSERT_OK_AND_ASSIGN(const Ticket ticket, Ticket::Parse(*line));
    tickets.push_back(ticket);
  }
  ASSERT_EQ(caller->AwaitExit(kLong).value_or(-1), 0);
  ASSERT_EQ(tickets.size(), 3);
  {
    const auto server = StartServer(kTerm);
    ASSERT_TRUE(AwaitExecutions(3));
    Drain(server.get());
  }
  // Nobody is there any more.
  const auto stub = Stub();
  for (const Ticket& ticket : tickets) {
    EXPECT_OK(stub->durable()->Collect<Done>(ticket));
    EXPECT_OK(stub->durable()->Delete(ticket));
  }
}

TEST_P(DurableKillTest, ThreeServersCompete) {
  const auto stub = Stub();
  const int kCalls = setting_.network ? 150 : 500;
  std::map<std::string, Ticket> tickets;
  const auto submit = [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const std::string id = absl::StrCat("call.", i);
      ASSERT_OK_AND_ASSIGN(tickets[id], stub->durable()->CountedAppend(WorkOf(id)));
    }
  };
  submit(0, kCalls / 2);
  std::vector<std::unique_ptr<Process>> servers;
  for (int i = 0; i < 3; ++i) servers.push_back(StartServer(kTerm));
  submit(kCalls / 2, kCalls);
  std::map<int64_t, int> by_server;
  for (const auto& [id, ticket] : tickets) {
    const auto reply = stub->durable()->Collect<Done>(ticket, kLong);
    ASSERT_OK(reply) << id;
    EXPECT_EQ(reply->payload(), id);
    ++by_server[reply->server_pid()];
  }
  const Executions done = executions();
  EXPECT_EQ(done.executed.size(), kCalls);
  for (const auto& [id, count] : done.executed) EXPECT_EQ(count, 1) << id;
  for (const auto& [pid, count] : by_server) std::cout << pid << ": " << count << " calls\n";
}

TEST_P(DurableKillTest, ServersAreKilledAtRandom) {
  std::mt19937 random(testing::TestSeed());
  const auto stub = Stub();
  std::vector<std::unique_ptr<Process>> servers;
  for (int i = 0; i < 2; ++i) servers.push_back(StartServer(kTerm));
  std::map<std::string, Ticket> tickets;
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 8; ++i) {
      const std::string id = absl::StrCat("call.", round, ".", i);
      ASSERT_OK_AND_ASSIGN(tickets[id], stub->durable()->CountedAppend(
                                            WorkOf(id, absl::Milliseconds(random() % 20))));
    }
    auto& victim = servers[random() % servers.size()];
    absl::SleepFor(absl::Microseconds(random() % 30000));  // to be killed anywhere
    victim->Kill();
    victim = StartServer(kTerm);
  }
  int lost = 0;
  CheckOnce(stub.get(), tickets, &lost);
  std::cout << setting_.name << ": " << lost << " of " << tickets.size()
            << " calls were with a server that was killed\n";
  EXPECT_LT(lost, static_cast<int>(tickets.size()));
}

// Kills a server right before, or right after, each of its steps.
TEST_P(DurableKillTest, AServerIsKilledAtEveryStep) {
  const auto stub = Stub();
  for (const char* const method : {"CountedAppend", "IdempotentAppend"}) {
    const bool idempotent = std::string(method) == "IdempotentAppend";
    for (const std::string step : {"link:claim.1", "unlink:after claim.1", "link:started",
                                   "unlink:after started", "link:reply", "unlink:after reply"}) {
      if (idempotent && step.find("started") != std::string::npos) continue;
      SCOPED_TRACE(absl::StrCat(method, " ", step));
      const std::string id = absl::StrCat(method, ".", absl::StrReplaceAll(step, {{" ", "_"}}));
      const auto victim = StartServer(kTerm, {"--die_at=" + step});
      const auto ticket = idempotent ? stub->durable()->IdempotentAppend(WorkOf(id))
                                     : stub->durable()->CountedAppend(WorkOf(id));
      ASSERT_OK(ticket);
      ASSERT_EQ(victim->AwaitExit(kLong).value_or(0), -SIGKILL) << "it has not come to that step";
      const auto next = StartServer(kTerm);
      const auto reply = stub->durable()->Collect<Done>(*ticket, kLong);
      const bool executed = step == "link:reply" || step == "unlink:after reply";
      const bool started = executed || step == "unlink:after started";
      const int count = executions().count(id);
      if (step == "unlink:after reply") {
        EXPECT_OK(reply) << "it was published";
        EXPECT_EQ(count, 1);
      } else if (idempotent) {
        EXPECT_OK(reply);
        EXPECT_EQ(count, executed ? 2 : 1);
      } else if (started) {
        const auto info = GetErrorInfo(reply.status());
        ASSERT_TRUE(info.has_value()) << reply.status();
        EXPECT_EQ(info->reason(), ErrorInfo::SERVER_LOST) << reply.status();
        EXPECT_TRUE(info->may_have_executed());
        EXPECT_EQ(count, executed ? 1 : 0);
      } else {
        EXPECT_OK(reply) << "it was not started, and is not lost";
        EXPECT_EQ(count, 1);
      }
      EXPECT_OK(stub->durable()->Delete(*ticket));
    }
  }
}

// A server that was stopped, and whose calls others have taken for lost, does not start them later.
TEST_P(DurableKillTest, AStoppedServerStartsNothingThatOthersHaveTaken) {
  const auto stub = Stub();
  const auto stopped = StartServer(kTerm, {"--stop_at=link:started"});
  ASSERT_OK_AND_ASSIGN(const Ticket ticket, stub->durable()->CountedAppend(WorkOf("call")));
  ASSERT_TRUE(stopped->AwaitStopped(kLong));
  const auto other = StartServer(kTerm);
  // Its lease runs out, though the kernel says that it lives.
  const auto reply = stub->durable()->Collect<Done>(ticket, kLong);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->server_pid(), other->pid());
  stopped->Send(SIGCONT);
  // When it is back it executes others, and not this one.
  const auto later = [&] {
    const auto more = stub->durable()->Echo(WorkOf(""));
    if (!more.ok()) return false;
    const auto reply = stub->durable()->Collect<Done>(*more, kLong);
    return reply.ok() && reply->server_pid() == stopped->pid();
  };
  EXPECT_TRUE(Await(kLong, later));
  EXPECT_EQ(executions().count("call"), 1);
}

TEST_P(DurableKillTest, WhatAKilledCallerLeavesIsCollected) {
  const auto server = StartServer(kTerm);
  const auto caller = StartClient({"--durable", "--calls=1", "--die_at=rename:/durable/"});
  ASSERT_EQ(caller->AwaitExit(kLong).value_or(0), -SIGKILL);
  if (setting_.other_host) return;  // nobody knows that it is dead
  EXPECT_TRUE(Await(kLong, [&] { return ListFiles().find("durable/.tmp-") == std::string::npos; }))
      << ListFiles();
}

}  // namespace
}  // namespace spoolrpc::failure
