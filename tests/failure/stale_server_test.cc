// A server that is stopped beyond its lease, and goes on afterwards, executes nothing that its
// client has sent elsewhere; a client that is stopped beyond its own lease holds nothing up.
#include <signal.h>

#include <iostream>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/clock.h"
#include "tests/failure/make_call.h"
#include "tests/failure/spool_fixture.h"
#include "tests/testing/seed.h"

namespace spoolrpc::failure {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(1);

class StaleServerTest : public SettingTest {
 protected:
  // Makes one call on a thread of its own.
  class Caller {
   public:
    Caller(std::shared_ptr<Channel> channel, const std::string& method, const Work& work)
        : thread_([this, channel = std::move(channel), method, work] {
            const auto stub = Failure::NewStub(channel);
            ClientContext context;
            result_ = MakeCall(stub.get(), method, &context, work);
          }) {}
    ~Caller() { Wait(); }
    const Result& Wait() {
      if (thread_.joinable()) thread_.join();
      return result_;
    }

   private:
    Result result_;
    std::thread thread_;
  };

  // A server that stops itself when it next writes to a response log while the file "stop" exists.
  std::unique_ptr<Process> StartStoppingServer() {
    return StartServer(kTerm, {"--stop_if=" + file("stop")});
  }

  // A first call, so that the session is there and its calls are written at once.
  void WarmUp(const std::shared_ptr<Channel>& channel) {
    const auto stub = Failure::NewStub(channel);
    ClientContext context;
    const Result result = MakeCall(stub.get(), "Echo", &context, Work());
    ASSERT_TRUE(result.ok()) << result;
  }

  // Goes on with the server that was stopped, and lets it do all that it would do.
  void GoOnAndDrain(Process* server) {
    const std::set<std::string> stale = OpenSessions(server->pid());
    EXPECT_FALSE(stale.empty());
    server->Send(SIGCONT);
    // It has seen that its sessions are over. (New ones may follow: it lives.)
    const auto ended = [&] {
      for (const std::string& id : OpenSessions(server->pid())) {
        if (stale.count(id) > 0) return false;
      }
      return true;
    };
    EXPECT_TRUE(Await(kLong, ended)) << ListFiles();
    Drain(server);
  }
};

TEST_P(StaleServerTest, StoppedBeforeTheAcknowledgement) {
  const auto stale = StartStoppingServer();
  const auto channel = MakeChannel();
  WarmUp(channel);
  Touch(file("stop"));
  Work work;
  work.set_id("resent");
  Caller caller(channel, "AckFirst", work);
  ASSERT_TRUE(stale->AwaitStopped(kLong));
  const auto other = StartServer(kTerm);
  const Result& result = caller.Wait();
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.server_pid, other->pid());
  GoOnAndDrain(stale.get());
  Drain(other.get());
  EXPECT_EQ(executions().count("resent"), 1);
}

TEST_P(StaleServerTest, StoppedBetweenAcknowledgementAndExecution) {
  // One of them will be stale.
  const auto stale = StartServer(kTerm);
  const auto other = StartServer(kTerm);
  const auto channel = MakeChannel();
  Touch(file("stop"));
  Work work;
  work.set_id("acknowledged");
  work.set_stop_if(file("stop"));
  Caller caller(channel, "AckFirst", work);
  pid_t stopped = 0;
  ASSERT_TRUE(Await(kLong, [&] {
    for (Process* server : {stale.get(), other.get()}) {
      if (server->AwaitStopped(absl::ZeroDuration())) stopped = server->pid();
    }
    return stopped != 0;
  }));
  const Result& result = caller.Wait();
  EXPECT_EQ(result.reason, ErrorInfo::SERVER_LOST) << result;
  EXPECT_TRUE(result.may_have_executed) << result;
  EXPECT_TRUE(result.acknowledged) << result;
  for (Process* server : {stale.get(), other.get()}) {
    if (server->pid() == stopped) {
      GoOnAndDrain(server);
    } else {
      Drain(server);
    }
  }
  EXPECT_EQ(executions().count("acknowledged"), 1);
}

TEST_P(StaleServerTest, StoppedBeforeTheReply) {
  const auto stale = StartStoppingServer();
  const auto channel = MakeChannel();
  WarmUp(channel);
  Touch(file("stop"));
  Work work;
  work.set_id("executed");
  Caller caller(channel, "CountedAppend", work);
  ASSERT_TRUE(stale->AwaitStopped(kLong));
  const os::Nanos stopped = os::Clock::Real()->Now();
  const auto other = StartServer(kTerm);
  const Result& result = caller.Wait();
  EXPECT_EQ(result.code, absl::StatusCode::kUnavailable) << result;
  EXPECT_EQ(result.reason, ErrorInfo::SERVER_LOST) << result;
  EXPECT_TRUE(result.may_have_executed) << result;
  std::cout << setting_.name << ": lost after " << absl::Nanoseconds(result.ended - stopped)
            << std::endl;
  EXPECT_LE(absl::Nanoseconds(result.ended - stopped), kTerm * 1.2 + absl::Milliseconds(100));
  GoOnAndDrain(stale.get());
  Drain(other.get());
  EXPECT_EQ(executions().count("executed"), 1);
}

// The call waits in the queue of the server while that is stopped.
TEST_P(StaleServerTest, WhatWaitsInTheQueueIsNotExecuted) {
  const auto stale = StartServer(kTerm, {"--workers=1"});
  const auto channel = MakeChannel();
  Work hold;
  hold.set_id("holder");
  hold.set_hold_until(file("release"));
  Caller holder(channel, "CountedAppend", hold);
  ASSERT_TRUE(AwaitExecutions(1));
  Work work;
  work.set_id("queued");
  Caller caller(channel, "CountedAppend", work);
  const auto acknowledged = [&] {
    const auto status = QuerySpool(spool());
    // Both calls have been acknowledged, each by a frame of 40 bytes.
    return status.ok() && status->servers.size() == 1 && status->servers[0].sessions.size() == 1 &&
           status->servers[0].sessions[0].response_bytes >= 80;
  };
  ASSERT_TRUE(Await(kLong, acknowledged));
  stale->Send(SIGSTOP);
  EXPECT_EQ(caller.Wait().reason, ErrorInfo::SERVER_LOST) << caller.Wait();
  EXPECT_EQ(holder.Wait().reason, ErrorInfo::SERVER_LOST) << holder.Wait();
  Touch(file("release"));
  GoOnAndDrain(stale.get());
  EXPECT_EQ(executions().count("holder"), 1);
  EXPECT_EQ(executions().count("queued"), 0);
}

TEST_P(StaleServerTest, StoppedClient) {
  const auto server = StartServer(kTerm);
  const auto client = StartClient(
      {"--id=stopped", "--calls=1", "--hold_until=" + file("never"), "--lease_term=1s"});
  ASSERT_TRUE(AwaitExecutions(1));
  client->Send(SIGSTOP);
  const os::Nanos stopped = os::Clock::Real()->Now();
  ASSERT_TRUE(Await(kLong, [&] { return executions().was_cancelled("stopped.0"); }));
  const os::Nanos cancelled = os::Clock::Real()->Now();
  std::cout << setting_.name << ": cancelled after " << absl::Nanoseconds(cancelled - stopped)
            << std::endl;
  EXPECT_LE(absl::Nanoseconds(cancelled - stopped), kTerm * 1.2 + absl::Milliseconds(300));
  client->Send(SIGCONT);
  const std::vector<Result> results = AwaitResults(client.get());
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].reason, ErrorInfo::SERVER_LOST) << results[0];
  EXPECT_TRUE(results[0].may_have_executed) << results[0];
  Drain(server.get());
}

// Two servers that are stopped at random, for a random time around their term.
TEST_P(StaleServerTest, StoppedAtRandom) {
  constexpr absl::Duration kShortTerm = absl::Milliseconds(400);
  constexpr int kStops = 24;
  std::mt19937_64 random(testing::TestSeed());
  std::unique_ptr<Process> servers[] = {StartServer(kShortTerm), StartServer(kShortTerm)};
  std::vector<std::unique_ptr<Process>> clients;
  for (const char* method : {"AckFirst", "CountedAppend"}) {
    for (int i = 0; i < 2; ++i) {
      clients.push_back(
          StartClient({absl::StrCat("--id=", method, i), absl::StrCat("--method=", method),
                       "--calls=-1", "--threads=2", "--microseconds=3000", "--lease_term=400ms",
                       "--until=" + file("enough")}));
    }
  }
  std::vector<Result> results;
  const auto take = [&](absl::Duration time) {
    const absl::Time until = absl::Now() + time;
    do {
      for (const auto& client : clients) {
        for (const std::string& line : client->Lines()) {
          const auto result = ParseResult(line);
          ASSERT_TRUE(result.has_value()) << line;
          results.push_back(*result);
        }
      }
      absl::SleepFor(absl::Milliseconds(2));
    } while (absl::Now() < until);
  };
  ASSERT_TRUE(AwaitExecutions(50));
  for (int stop = 0; stop < kStops; ++stop) {
    Process* const server = servers[random() % 2].get();
    server->Send(SIGSTOP);
    take(kShortTerm * (random() % 200) / 100);
    server->Send(SIGCONT);
    take(absl::Milliseconds(random() % 300));
  }
  Touch(file("enough"));
  for (const auto& client : clients) {
    for (const Result& result : AwaitResults(client.get())) results.push_back(result);
  }
  for (const auto& server : servers) Drain(server.get());
  const Executions done = executions();
  int lost = 0;
  for (const Result& result : results) {
    const int times = done.count(result.id);
    EXPECT_LE(times, 1) << result;
    if (result.ok()) {
      EXPECT_EQ(times, 1) << result;
    }
    if (result.certainly_not_executed()) {
      EXPECT_EQ(times, 0) << result;
    }
    lost += !result.ok();
  }
  std::cout << setting_.name << ": " << results.size() << " calls, of which " << lost
            << " were lost" << std::endl;
  EXPECT_GT(results.size(), 100u);
}

INSTANTIATE_TEST_SUITE_P(All, StaleServerTest, ::testing::Values(kLocal, kOtherHost), SettingName);

}  // namespace
}  // namespace spoolrpc::failure
