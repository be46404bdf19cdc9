// A server that is killed again and again, and started anew, while clients call: no call is
// executed twice, none is executed that the caller was told was not, and each one ends.
#include <iostream>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "tests/failure/spool_fixture.h"
#include "tests/testing/seed.h"

namespace spoolrpc::failure {
namespace {

constexpr int kRounds = 20;

class RestartTest : public SettingTest {};

TEST_P(RestartTest, NoCallTwiceAndNoneWithoutAnEnd) {
  std::mt19937_64 random(testing::TestSeed());
  const absl::Duration term = setting_.other_host ? absl::Milliseconds(400) : absl::Seconds(2);
  auto server = StartServer(term);
  std::vector<std::unique_ptr<Process>> clients;
  for (const char* method : {"CountedAppend", "CountedAppend", "AckFirst", "IdempotentAppend"}) {
    clients.push_back(StartClient({absl::StrCat("--id=", method, clients.size()),
                                   absl::StrCat("--method=", method), "--calls=-1", "--threads=3",
                                   "--microseconds=1000", "--until=" + file("enough")}));
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
  ASSERT_TRUE(AwaitExecutions(20));
  for (int round = 0; round < kRounds; ++round) {
    take(absl::Milliseconds(random() % 250));
    server->Kill();
    take(absl::Milliseconds(random() % 3 == 0 ? random() % 200 : 0));
    server = StartServer(term);
  }
  // It serves.
  const size_t before = executions().executed.size();
  EXPECT_TRUE(Await(kLong, [&] {
    take(absl::Milliseconds(10));
    return executions().executed.size() >= before + 20;
  }));
  Touch(file("enough"));
  for (const auto& client : clients) {
    for (const Result& result : AwaitResults(client.get())) results.push_back(result);
  }
  Drain(server.get());

  const Executions done = executions();
  std::map<std::string, int> ended;
  std::map<std::string, int> kinds;
  for (const Result& result : results) {
    EXPECT_EQ(++ended[result.id], 1) << "ended twice: " << result;
    const int times = done.count(result.id);
    const bool idempotent = result.id.rfind("Idempotent", 0) == 0;
    if (!idempotent) {
      EXPECT_LE(times, 1) << result;
    }
    if (result.ok()) {
      EXPECT_GE(times, 1) << result;
      ++kinds["OK"];
      continue;
    }
    EXPECT_NE(result.reason, Result::kNone) << result;
    if (result.certainly_not_executed()) {
      EXPECT_EQ(times, 0) << result;
    }
    ++kinds[ErrorInfo::Reason_Name(static_cast<ErrorInfo::Reason>(result.reason))];
  }
  // Threads number the calls of their process from 0 on: none is missing.
  for (const auto& [id, times] : ended) {
    const size_t dot = id.rfind('.');
    const int number = std::stoi(id.substr(dot + 1));
    if (number > 0) {
      EXPECT_EQ(ended.count(absl::StrCat(id.substr(0, dot + 1), number - 1)), 1u)
          << "the call before " << id << " has not ended";
    }
  }
  for (const auto& [id, times] : done.executed) {
    EXPECT_EQ(ended.count(id), 1u) << id << " was executed and has not ended";
  }
  std::cout << setting_.name << ":";
  for (const auto& [kind, count] : kinds) std::cout << " " << kind << " " << count;
  std::cout << std::endl;
  EXPECT_GT(kinds["OK"], 200);
}

INSTANTIATE_TEST_SUITE_P(All, RestartTest, ::testing::Values(kLocal, kOtherHost), SettingName);

}  // namespace
}  // namespace spoolrpc::failure
