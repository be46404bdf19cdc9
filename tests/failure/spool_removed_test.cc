// Somebody removes the spool under a running server and its clients: every call ends with a status,
// and the server says why it stops.
#include <filesystem>
#include <iostream>
#include <system_error>
#include <thread>

#include "spoolrpc/os/clock.h"
#include "tests/failure/make_call.h"
#include "tests/failure/spool_fixture.h"

namespace spoolrpc::failure {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(1);
// A lease, and what a busy machine adds.
constexpr absl::Duration kBound = absl::Seconds(3);

class SpoolRemovedTest : public SettingTest {};

TEST_P(SpoolRemovedTest, EveryCallEndsAndTheServerSaysWhy) {
  const auto server = StartServer(kTerm);
  ChannelOptions options;
  options.lease_term = kTerm;
  const auto channel = MakeChannel(options);
  Result held;
  std::thread caller([&] {
    const auto stub = Failure::NewStub(channel);
    ClientContext context;
    Work work;
    work.set_id("held");
    work.set_hold_until(file("never"));
    held = MakeCall(stub.get(), "CountedAppend", &context, work);
  });
  EXPECT_TRUE(AwaitExecutions(1));
  // As rm -r would, while others make and rename things in it.
  EXPECT_TRUE(Await(kLong, [&] {
    std::error_code error;
    std::filesystem::remove_all(spool(), error);
    return !std::filesystem::exists(spool());
  }));
  const os::Nanos removed = os::Clock::Real()->Now();
  caller.join();
  EXPECT_FALSE(held.ok());
  EXPECT_NE(held.reason, Result::kNone) << held;
  EXPECT_TRUE(held.may_have_executed) << held;
  EXPECT_LE(absl::Nanoseconds(held.ended - removed), kBound) << held;
  std::cout << setting_.name << ": " << held << std::endl;
  EXPECT_TRUE(Await(kLong, [&] { return executions().was_cancelled("held"); }));

  const auto said = server->NextLine(kLong);
  ASSERT_TRUE(said.has_value());
  EXPECT_NE(said->find("ended FAILED_PRECONDITION"), std::string::npos) << *said;
  EXPECT_NE(said->find(spool()), std::string::npos) << *said;
  EXPECT_EQ(server->AwaitExit(kLong).value_or(-1), 1);

  // New calls on the same channel end too, and say what is missing.
  const auto stub = Failure::NewStub(channel);
  {
    ClientContext context;
    context.set_ack_timeout(absl::Milliseconds(500));
    const Result result = MakeCall(stub.get(), "Echo", &context, Work());
    EXPECT_EQ(result.code, absl::StatusCode::kUnavailable) << result;
    EXPECT_EQ(result.reason, ErrorInfo::NO_SERVER) << result;
    EXPECT_NE(result.message.find(spool()), std::string::npos) << result;
    EXPECT_LE(absl::Nanoseconds(result.ended - result.began), absl::Seconds(1)) << result;
  }
  // A server makes the spool anew, and the same channel finds it.
  const auto successor = StartServer(kTerm);
  ClientContext context;
  const Result result = MakeCall(stub.get(), "Echo", &context, Work());
  EXPECT_TRUE(result.ok()) << result;
}

// Only what belongs to the server.
TEST_P(SpoolRemovedTest, TheServersDirectoryAlone) {
  const auto server = StartServer(kTerm);
  ChannelOptions options;
  options.lease_term = kTerm;
  const auto channel = MakeChannel(options);
  const auto stub = Failure::NewStub(channel);
  {
    ClientContext context;
    const Result result = MakeCall(stub.get(), "Echo", &context, Work());
    EXPECT_TRUE(result.ok()) << result;
  }
  EXPECT_TRUE(Await(kLong, [&] {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(spool() + "/servers", error)) {
      std::filesystem::remove_all(entry.path(), error);
    }
    return std::filesystem::is_empty(spool() + "/servers");
  }));
  EXPECT_EQ(server->AwaitExit(kLong).value_or(-1), 1);
  const auto successor = StartServer(kTerm);
  ClientContext context;
  const Result result = MakeCall(stub.get(), "Echo", &context, Work());
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.server_pid, successor->pid());
}

INSTANTIATE_TEST_SUITE_P(All, SpoolRemovedTest, ::testing::Values(kLocal, kOtherHost), SettingName);

}  // namespace
}  // namespace spoolrpc::failure
