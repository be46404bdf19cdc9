// A call without a server ends at its ack timeout, not later, and no later server executes it.
#include <signal.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/failure/make_call.h"
#include "tests/failure/spool_fixture.h"

namespace spoolrpc::failure {
namespace {

constexpr absl::Duration kAckTimeout = absl::Milliseconds(600);
// What a busy machine may add.
constexpr absl::Duration kSlack = absl::Milliseconds(400);

class NoServerTest : public SettingTest {
 protected:
  // The call ends with NO_SERVER in time, and says that it was not executed. Returns its message.
  std::string ExpectNoServer(Channel* channel) {
    const auto stub =
        Failure::NewStub(std::shared_ptr<ChannelInterface>(channel, [](ChannelInterface*) {}));
    ClientContext context;
    context.set_ack_timeout(kAckTimeout);
    Work work;
    work.set_id("given-up");
    const Result result = MakeCall(stub.get(), "CountedAppend", &context, work);
    EXPECT_EQ(result.code, absl::StatusCode::kUnavailable) << result;
    EXPECT_EQ(result.reason, ErrorInfo::NO_SERVER) << result;
    EXPECT_FALSE(result.may_have_executed) << result;
    EXPECT_FALSE(result.acknowledged) << result;
    const absl::Duration took = absl::Nanoseconds(result.ended - result.began);
    EXPECT_GE(took, kAckTimeout);
    EXPECT_LE(took, kAckTimeout + kSlack);
    return result.message;
  }

  // The same channel calls the server, which then drains: what it would have executed it has.
  void ExpectNotExecuted(Channel* channel, Process* server) {
    const auto stub =
        Failure::NewStub(std::shared_ptr<ChannelInterface>(channel, [](ChannelInterface*) {}));
    ClientContext context;
    Work work;
    work.set_id("afterwards");
    const Result result = MakeCall(stub.get(), "CountedAppend", &context, work);
    EXPECT_TRUE(result.ok()) << result;
    Drain(server);
    EXPECT_EQ(executions().count("afterwards"), 1);
    EXPECT_EQ(executions().count("given-up"), 0);
  }
};

TEST_P(NoServerTest, NoSpool) {
  const auto channel = MakeChannel();
  ExpectNoServer(channel.get());
  const auto server = StartServer(absl::Seconds(2));
  ExpectNotExecuted(channel.get(), server.get());
}

TEST_P(NoServerTest, DrainedServer) {
  const auto first = StartServer(absl::Seconds(2));
  Drain(first.get());
  const auto channel = MakeChannel();
  ExpectNoServer(channel.get());
  const auto server = StartServer(absl::Seconds(2));
  ExpectNotExecuted(channel.get(), server.get());
}

TEST_P(NoServerTest, KilledServer) {
  StartServer(absl::Seconds(2))->Kill();
  const auto channel = MakeChannel();
  ExpectNoServer(channel.get());
  const auto server = StartServer(absl::Seconds(2));
  ExpectNotExecuted(channel.get(), server.get());
}

// The session is announced to the server, which accepts it when the call has long been given up.
TEST_P(NoServerTest, StoppedServer) {
  const auto server = StartServer(absl::Seconds(2));
  server->Send(SIGSTOP);
  const auto channel = MakeChannel();
  const std::string message = ExpectNoServer(channel.get());
  EXPECT_TRUE(absl::StrContains(message, absl::StrCat(":", server->pid())))
      << "the server that was asked is not named: " << message;
  server->Send(SIGCONT);
  ExpectNotExecuted(channel.get(), server.get());
}

TEST_P(NoServerTest, DeadlineBeforeTheAckTimeout) {
  const auto channel = MakeChannel();
  const auto stub = Failure::NewStub(channel);
  ClientContext context;
  context.set_timeout(absl::Milliseconds(200));
  Work work;
  const Result result = MakeCall(stub.get(), "CountedAppend", &context, work);
  EXPECT_EQ(result.code, absl::StatusCode::kDeadlineExceeded) << result;
  EXPECT_TRUE(result.certainly_not_executed()) << result;
  EXPECT_LE(absl::Nanoseconds(result.ended - result.began), absl::Milliseconds(200) + kSlack);
}

INSTANTIATE_TEST_SUITE_P(All, NoServerTest, ::testing::Values(kLocal, kOtherHost), SettingName);

}  // namespace
}  // namespace spoolrpc::failure
