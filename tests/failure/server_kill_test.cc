// kill -9 of a server in the middle of calls: every caller learns of it, soon, and none hangs.
#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/os/host.h"
#include "tests/failure/make_call.h"
#include "tests/failure/spool_fixture.h"

namespace spoolrpc::failure {
namespace {

constexpr int kClients = 8;
constexpr int kThreads = 8;
constexpr uint64_t kAcknowledgement = 40;  // bytes of a response log
constexpr absl::Duration kTerm = absl::Seconds(2);
// Where the kernel tells.
constexpr absl::Duration kAtOnce = absl::Seconds(2);

class ServerKillTest : public SettingTest {
 protected:
  // How long after the kill callers may learn of it.
  absl::Duration Bound() const { return setting_.other_host ? kTerm * 1.2 : kAtOnce; }
};

TEST_P(ServerKillTest, EveryCallerHasATypedStatusInTime) {
  const auto server = StartServer(kTerm, {absl::StrCat("--workers=", kClients * kThreads / 2)});
  std::vector<std::unique_ptr<Process>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(
        StartClient({absl::StrCat("--id=", i), absl::StrCat("--calls=", kThreads),
                     absl::StrCat("--threads=", kThreads), "--hold_until=" + file("never")}));
  }
  // Half of them run, the others wait for a worker, and all have been acknowledged.
  const auto all_open = [&] {
    const auto status = QuerySpool(spool());
    uint64_t bytes = 0;
    if (!status.ok() || status->servers.size() != 1) return false;
    for (const SessionStatus& session : status->servers[0].sessions) {
      bytes += session.response_bytes;
    }
    return bytes >= kClients * kThreads * kAcknowledgement;
  };
  ASSERT_TRUE(Await(kLong, all_open));
  ASSERT_TRUE(AwaitExecutions(kClients * kThreads / 2));
  const os::Nanos killed = os::Clock::Real()->Now();
  server->Kill();
  int ended = 0;
  os::Nanos first = os::kNever, last = 0;
  for (const auto& client : clients) {
    for (const Result& result : AwaitResults(client.get())) {
      ++ended;
      first = std::min(first, result.ended);
      last = std::max(last, result.ended);
      EXPECT_EQ(result.code, absl::StatusCode::kUnavailable) << result;
      EXPECT_EQ(result.reason, ErrorInfo::SERVER_LOST) << result;
      EXPECT_TRUE(result.may_have_executed) << result;
      EXPECT_LE(absl::Nanoseconds(result.ended - killed), Bound()) << result;
    }
  }
  EXPECT_EQ(ended, kClients * kThreads);
  std::cout << setting_.name << ": the first caller learned of the kill after "
            << absl::Nanoseconds(first - killed) << ", the last after "
            << absl::Nanoseconds(last - killed) << ", allowed are " << Bound() << std::endl;
}

// Kills a server in the moment when a client wants to watch it.
class KillingHost final : public os::Host {
 public:
  explicit KillingHost(Process* victim) : victim_(victim) {}
  os::ProcessId Self() const override { return os::Host::Real()->Self(); }
  os::Liveness Look(const os::ProcessId& process) const override {
    return os::Host::Real()->Look(process);
  }
  int OpenPidfd(const os::ProcessId& process) const override {
    if (process.pid == victim_->pid()) victim_->Kill();
    return os::Host::Real()->OpenPidfd(process);
  }
  int Cpus() const override { return os::Host::Real()->Cpus(); }

 private:
  Process* const victim_;
};

// The session has been accepted, and no call was made on it: it goes to the next server.
TEST_F(SpoolTest, ServerThatDiesRightAfterItAcceptedIsNotedAtOnce) {
  const auto victim = StartServer(absl::Minutes(1));
  KillingHost host(victim.get());
  ChannelOptions options;
  options.environment.host = &host;
  const auto channel = MakeChannel(options);
  const auto stub = Failure::NewStub(channel);
  {
    ClientContext context;
    context.set_ack_timeout(absl::Seconds(1));
    Work work;
    work.set_id("nobody");
    const Result result = MakeCall(stub.get(), "CountedAppend", &context, work);
    EXPECT_EQ(result.reason, ErrorInfo::NO_SERVER) << result;
    EXPECT_TRUE(result.certainly_not_executed()) << result;
  }
  const auto successor = StartServer(absl::Minutes(1));
  ClientContext context;
  Work work;
  work.set_id("successor");
  const Result result = MakeCall(stub.get(), "CountedAppend", &context, work);
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(executions().executed.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(All, ServerKillTest, ::testing::Values(kLocal, kNetwork, kOtherHost),
                         SettingName);

}  // namespace
}  // namespace spoolrpc::failure
