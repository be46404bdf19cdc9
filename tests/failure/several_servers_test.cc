// Several servers on one spool, of which one dies: calls go on with the others.
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/clock.h"
#include "tests/failure/spool_fixture.h"

namespace spoolrpc::failure {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(1);

class SeveralServersTest : public SettingTest {
 protected:
  // Takes results until `condition` is true of all so far.
  template <class Condition>
  bool TakeUntil(const Condition& condition) {
    return Await(kLong, [&] {
      for (const std::string& line : client_->Lines()) {
        const auto result = ParseResult(line);
        EXPECT_TRUE(result.has_value()) << line;
        if (result.has_value()) results_.push_back(*result);
      }
      return condition();
    });
  }
  int CountAnsweredBy(const Process& server) const {
    int count = 0;
    for (const Result& result : results_) count += result.server_pid == server.pid();
    return count;
  }

  std::unique_ptr<Process> client_;
  std::vector<Result> results_;
};

TEST_P(SeveralServersTest, CallsGoOnWithTheOthers) {
  const auto survivor = StartServer(kTerm);
  const auto victim = StartServer(kTerm);
  client_ = StartClient(
      {"--calls=-1", "--threads=4", "--microseconds=2000", "--until=" + file("enough")});
  ASSERT_TRUE(TakeUntil([&] {
    return CountAnsweredBy(*victim) > 50 && CountAnsweredBy(*survivor) > 50;
  })) << "both serve";
  const os::Nanos killed = os::Clock::Real()->Now();
  victim->Kill();
  // By then every caller knows.
  const absl::Duration known = setting_.other_host ? kTerm * 1.2 : absl::Milliseconds(500);
  const os::Nanos settled = killed + absl::ToInt64Nanoseconds(known);
  ASSERT_TRUE(TakeUntil([&] { return os::Clock::Real()->Now() > settled; }));
  const int before = CountAnsweredBy(*survivor);
  ASSERT_TRUE(TakeUntil([&] { return CountAnsweredBy(*survivor) > before + 100; }))
      << "calls go on";
  // A server that comes later takes its share.
  const auto successor = StartServer(kTerm);
  ASSERT_TRUE(TakeUntil([&] { return CountAnsweredBy(*successor) > 50; }));
  Touch(file("enough"));
  for (const Result& result : AwaitResults(client_.get())) results_.push_back(result);

  int lost = 0;
  for (const Result& result : results_) {
    if (result.ok()) {
      if (result.began > settled) {
        EXPECT_NE(result.server_pid, victim->pid()) << result;
      }
      continue;
    }
    ++lost;
    EXPECT_EQ(result.reason, ErrorInfo::SERVER_LOST) << result;
    EXPECT_LE(result.began, settled) << "a new call met the dead server: " << result;
  }
  std::cout << setting_.name << ": " << results_.size() << " calls, of which " << lost
            << " were lost" << std::endl;
  // On one host those that were open; otherwise those that were given to it until the lease was
  // out.
  EXPECT_LE(lost, setting_.other_host ? 1000 : 8);
  EXPECT_GT(lost, 0);
}

// Calls of idempotent methods go on at the other one, whatever the dead one had done of them.
TEST_P(SeveralServersTest, IdempotentCallsAreNotLost) {
  const auto survivor = StartServer(kTerm);
  const auto victim = StartServer(kTerm);
  client_ = StartClient({"--method=IdempotentAppend", "--calls=-1", "--threads=8",
                         "--microseconds=5000", "--until=" + file("enough")});
  ASSERT_TRUE(TakeUntil([&] {
    return CountAnsweredBy(*victim) > 50 && CountAnsweredBy(*survivor) > 50;
  })) << "both serve";
  victim->Kill();
  // Each thread has at most one call at the victim.
  const int before = CountAnsweredBy(*survivor);
  ASSERT_TRUE(TakeUntil([&] { return CountAnsweredBy(*survivor) > before + 200; }));
  Touch(file("enough"));
  for (const Result& result : AwaitResults(client_.get())) results_.push_back(result);
  for (const Result& result : results_) EXPECT_TRUE(result.ok()) << result;
}

// All of its calls that were not begun go elsewhere, so no caller notices anything.
TEST_P(SeveralServersTest, NobodyNoticesOneThatDrains) {
  const auto survivor = StartServer(kTerm);
  const auto leaver = StartServer(kTerm);
  client_ = StartClient(
      {"--calls=-1", "--threads=4", "--microseconds=2000", "--until=" + file("enough")});
  ASSERT_TRUE(
      TakeUntil([&] { return CountAnsweredBy(*leaver) > 50 && CountAnsweredBy(*survivor) > 50; }));
  Drain(leaver.get());
  const int before = CountAnsweredBy(*survivor);
  ASSERT_TRUE(TakeUntil([&] { return CountAnsweredBy(*survivor) > before + 100; }));
  Touch(file("enough"));
  for (const Result& result : AwaitResults(client_.get())) results_.push_back(result);
  for (const Result& result : results_) EXPECT_TRUE(result.ok()) << result;
}

INSTANTIATE_TEST_SUITE_P(All, SeveralServersTest, ::testing::Values(kLocal, kNetwork, kOtherHost),
                         SettingName);

}  // namespace
}  // namespace spoolrpc::failure
