// A call that its caller gave up while it waited in the server's queue is never executed.
#include <signal.h>

#include <thread>

#include "tests/failure/make_call.h"
#include "tests/failure/spool_fixture.h"

namespace spoolrpc::failure {
namespace {

constexpr MethodInfo kUnknown = {"/spoolrpc.failure.Failure/Unknown"};

class GiveUpTest : public SettingTest {
 protected:
  // A server whose only worker is held until Release().
  void SetUp() override {
    server_ = StartServer(absl::Seconds(2), {"--workers=1"});
    channel_ = MakeChannel();
    stub_ = Failure::NewStub(channel_);
    holder_ = std::thread([this] {
      ClientContext context;
      Work work;
      work.set_id("holder");
      work.set_hold_until(file("release"));
      const Result result = MakeCall(stub_.get(), "CountedAppend", &context, work);
      EXPECT_TRUE(result.ok()) << result;
    });
    ASSERT_TRUE(AwaitExecutions(1));
  }

  void TearDown() override {
    AwaitServerRead();
    Touch(file("release"));
    holder_.join();
    Drain(server_.get());
    EXPECT_EQ(executions().count("holder"), 1);
    EXPECT_EQ(executions().count("given-up"), 0);
  }

  // Waits until the server has read what this process has written so far: it reads in order, and
  // answers a method that it does not know where it reads the call. (A caller that gives up does
  // not wait until the server knows; a worker that came free before might still take the call.)
  void AwaitServerRead() {
    ClientContext context;
    Done done;
    EXPECT_EQ(channel_->BlockingUnaryCall(kUnknown, &context, Work(), &done).code(),
              absl::StatusCode::kUnimplemented);
  }

  std::unique_ptr<Process> server_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<Failure::Stub> stub_;
  std::thread holder_;
};

TEST_P(GiveUpTest, Deadline) {
  ClientContext context;
  context.set_timeout(absl::Milliseconds(300));
  Work work;
  work.set_id("given-up");
  const Result result = MakeCall(stub_.get(), "CountedAppend", &context, work);
  EXPECT_EQ(result.code, absl::StatusCode::kDeadlineExceeded) << result;
  EXPECT_EQ(result.reason, ErrorInfo::DEADLINE) << result;
  EXPECT_TRUE(result.acknowledged) << "the server took it into its queue";
}

TEST_P(GiveUpTest, Cancellation) {
  ClientContext context;
  context.set_acknowledged_callback([this] { Touch(file("acknowledged")); });
  std::thread caller([&] {
    Work work;
    work.set_id("given-up");
    const Result result = MakeCall(stub_.get(), "CountedAppend", &context, work);
    EXPECT_EQ(result.code, absl::StatusCode::kCancelled) << result;
  });
  EXPECT_TRUE(Await(kLong, [&] { return context.acknowledged(); }));
  context.TryCancel();
  caller.join();
  EXPECT_EQ(access(file("acknowledged").c_str(), F_OK), 0);
}

// The server does not get to read the call before its ack timeout.
TEST_P(GiveUpTest, AckTimeout) {
  server_->Send(SIGSTOP);
  ClientContext context;
  context.set_ack_timeout(absl::Milliseconds(300));
  Work work;
  work.set_id("given-up");
  const Result result = MakeCall(stub_.get(), "CountedAppend", &context, work);
  server_->Send(SIGCONT);
  EXPECT_EQ(result.code, absl::StatusCode::kUnavailable) << result;
  EXPECT_EQ(result.reason, ErrorInfo::ACK_TIMEOUT) << result;
  EXPECT_TRUE(result.may_have_executed) << result;
  EXPECT_FALSE(result.acknowledged) << result;
}

// The client is killed while its call waits; the server learns it from the kernel, or from the
// lease.
TEST_P(GiveUpTest, ClientKilled) {
  const auto client = StartClient({"--id=given-up", "--calls=1", "--lease_term=500ms"});
  // The server has answered something: the acknowledgement of the queued call.
  const auto acknowledged = [&] {
    const auto status = QuerySpool(spool());
    int sessions = 0;
    if (!status.ok() || status->servers.size() != 1) return false;
    for (const SessionStatus& session : status->servers[0].sessions) {
      sessions += session.response_bytes > 0;
    }
    return sessions == 2;
  };
  ASSERT_TRUE(Await(kLong, acknowledged)) << ListFiles();
  client->Kill();
  // The server closes its half of the session, and so has cancelled what was open on it.
  const auto ended = [&] { return OpenSessions().size() == 1; };
  ASSERT_TRUE(Await(kLong, ended)) << ListFiles();
}

INSTANTIATE_TEST_SUITE_P(All, GiveUpTest, ::testing::Values(kLocal, kOtherHost), SettingName);

}  // namespace
}  // namespace spoolrpc::failure
