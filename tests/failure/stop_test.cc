// Servers that are asked to stop through the spool: they end as on SIGTERM, idle or not, and only
// for those who may ask.
#include <unistd.h>

#include <fstream>
#include <future>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/stop_request.h"
#include "spoolrpc/spool/stop_servers.h"
#include "tests/failure/make_call.h"
#include "tests/failure/spool_fixture.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::failure {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(5);

class StopTest : public SettingTest {
 protected:
  std::shared_ptr<const spool::Spool> Open() {
    os::Environment env;
    if (setting_.other_host) env.host = &other_host_;
    return *spool::Spool::Open(
        env, spool(), setting_.network ? spool::Transport::kNetwork : spool::Transport::kAuto);
  }
  spool::ServerEntry EntryOf(const Process& server) {
    const auto servers = spool::ServerList(Open()).Refresh();
    EXPECT_OK(servers);
    for (const spool::ServerEntry& entry : *servers) {
      if (entry.record->process().pid() == server.pid()) return entry;
    }
    ADD_FAILURE() << "no server of pid " << server.pid();
    return {};
  }
  void AskToStop(const Process& server, absl::Duration deadline) {
    EXPECT_OK(spool::AskToStop(*Open(), EntryOf(server), deadline));
  }
  static void AwaitEnd(Process* server) {
    EXPECT_EQ(server->AwaitExit(kLong).value_or(-1), 0) << "the exit code of a server that stopped";
    EXPECT_EQ(server->NextLine(kLong).value_or("nothing"), "ended OK");
  }
  // A call whose handler lasts until `hold_until` exists.
  std::future<Result> Call(const std::string& id, const std::string& hold_until) {
    return std::async(std::launch::async, [this, id, hold_until] {
      const auto stub = Failure::NewStub(MakeChannel());
      ClientContext context;
      context.set_ack_timeout(kLong);
      Work work;
      work.set_id(id);
      work.set_hold_until(hold_until);
      return MakeCall(stub.get(), "CountedAppend", &context, work);
    });
  }
  std::string LogOf(const spool::ServerEntry& server) const {
    std::ifstream in(absl::StrCat(spool(), "/logs/", spool::IdName(server.id), ".log"));
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
};

TEST_P(StopTest, IdleServerEndsAndItsDirectoryGoes) {
  const auto server = StartServer(kTerm);
  spool::ServerStopper stopper(Open());
  stopper.Ask({EntryOf(*server)}, absl::InfiniteDuration());
  EXPECT_TRUE(stopper.Await(kLong));
  ASSERT_EQ(stopper.outcomes().size(), 1);
  EXPECT_EQ(stopper.outcomes()[0].state, spool::StopOutcome::State::kGone);
  AwaitEnd(server.get());
  EXPECT_FALSE(absl::StrContains(ListFiles(), "/stop.")) << ListFiles();
}

TEST_P(StopTest, WhatRunsIsFinishedAndWhatWaitsGoesToAnotherServer) {
  const auto first = StartServer(kTerm, {"--workers=1"});
  auto running = Call("running", file("release"));
  ASSERT_TRUE(AwaitExecutions(1));
  auto waiting = Call("waiting", "");
  ASSERT_TRUE(Await(kLong, [&] { return OpenSessions(first->pid()).size() == 2; }));
  AskToStop(*first, absl::InfiniteDuration());
  const auto second = StartServer(kTerm);
  Result result = waiting.get();
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.server_pid, second->pid());
  EXPECT_FALSE(first->Ended());
  Touch(file("release"));
  result = running.get();
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.server_pid, first->pid());
  AwaitEnd(first.get());
  for (const auto& [id, times] : executions().executed) EXPECT_EQ(times, 1) << id;
}

TEST_P(StopTest, AtTheDeadlineWhatRunsIsCancelled) {
  const auto server = StartServer(kTerm);
  auto running = Call("running", file("never"));
  ASSERT_TRUE(AwaitExecutions(1));
  AskToStop(*server, absl::Milliseconds(100));
  const Result result = running.get();
  EXPECT_FALSE(result.ok()) << result;
  AwaitEnd(server.get());
}

TEST_P(StopTest, ALaterRequestBringsTheDeadlineForwardAndNeverBack) {
  const auto server = StartServer(kTerm);
  auto running = Call("running", file("never"));
  ASSERT_TRUE(AwaitExecutions(1));
  AskToStop(*server, absl::InfiniteDuration());
  const spool::ServerEntry entry = EntryOf(*server);
  const auto draining = [&] {
    const auto status = QuerySpool(spool());
    return status.ok() && status->servers.size() == 1 &&
           status->servers[0].state == ServerStatus::State::kDraining;
  };
  EXPECT_TRUE(Await(kLong, draining)) << "the first request shows in the lease";
  EXPECT_OK(spool::AskToStop(*Open(), entry, absl::ZeroDuration()));
  EXPECT_OK(spool::AskToStop(*Open(), entry, absl::InfiniteDuration()));
  EXPECT_FALSE(running.get().ok());
  AwaitEnd(server.get());
}

TEST_P(StopTest, OnlyARequestOfTheOwnerForThisServerCounts) {
  const auto server = StartServer(kTerm);
  const spool::ServerEntry entry = EntryOf(*server);
  const std::string inbox = entry.directory + "/inbox/";
  const auto put = [&](const char* name, const std::string& bytes, bool strangers) {
    ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), file(name), bytes, 0644, false));
    if (strangers) {
      ASSERT_EQ(chown(file(name).c_str(), 12345, 12345), 0);
    }
    ASSERT_OK(os::Rename(os::SystemCalls::Real(), file(name), inbox + name));
  };
  spool::StopRecord record;
  record.set_server_id(entry.id);
  std::string damaged = spool::EncodeRecord(spool::RecordKind::kStop, record);
  const std::string good = damaged;
  damaged[30] ^= 1;
  record.set_server_id(std::string(16, 'x'));
  put("stop.1", damaged, false);
  put("stop.2", spool::EncodeRecord(spool::RecordKind::kStop, record), false);
  size_t wrong = 2;
  if (geteuid() == 0) {
    put("stop.3", good, true);
    ++wrong;
  }
  const auto said = [&] {
    const std::vector<std::string> parts =
        absl::StrSplit(LogOf(entry), "a request to stop does not count");
    return parts.size() - 1 >= wrong;
  };
  EXPECT_TRUE(Await(kLong, said)) << LogOf(entry);
  EXPECT_TRUE(Call("after", "").get().ok());
  EXPECT_FALSE(server->Ended());
  AskToStop(*server, absl::InfiniteDuration());
  AwaitEnd(server.get());
}

TEST_P(StopTest, OfAStoppedProcessTheLeaseSaysThatItIsGone) {
  const auto server = StartServer(absl::Milliseconds(500));
  server->Send(SIGSTOP);
  spool::ServerStopper stopper(Open());
  stopper.Ask({EntryOf(*server)}, absl::InfiniteDuration());
  EXPECT_TRUE(stopper.Await(kLong));
  EXPECT_EQ(stopper.outcomes()[0].state, spool::StopOutcome::State::kExpired);
  // It finds the request when it comes back.
  server->Send(SIGCONT);
  AwaitEnd(server.get());
}

INSTANTIATE_TEST_SUITE_P(All, StopTest, ::testing::Values(kLocal, kNetwork, kOtherHost),
                         SettingName);

}  // namespace
}  // namespace spoolrpc::failure
