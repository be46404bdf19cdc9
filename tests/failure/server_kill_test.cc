// kill -9 of a server in the middle of calls: every caller learns of it, soon, and none hangs.
#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/clock.h"
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

INSTANTIATE_TEST_SUITE_P(All, ServerKillTest, ::testing::Values(kLocal, kNetwork, kOtherHost),
                         SettingName);

}  // namespace
}  // namespace spoolrpc::failure
