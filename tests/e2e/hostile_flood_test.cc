// Too much of everything: a client that never reads, announcements without sessions, sessions that
// are rubbish. The server's memory stays bounded, the others are served in time, and what is left
// over goes.
#include <stdio.h>
#include <sys/stat.h>

#include <cmath>

#include "absl/strings/str_format.h"
#include "tests/e2e/hostile_fixture.h"
#include "tests/metrics/open_metrics_parser.h"

namespace spoolrpc::e2e {
namespace {

using log::FrameType;
using ::testing::HasSubstr;

constexpr size_t kMebibyte = 1 << 20;

class HostileFloodTest : public HostileTest {
 protected:
  HostileFloodTest() { term_ = absl::Seconds(1); }

  static std::string Name(int i) { return absl::StrFormat("%032x", i + 1); }
  size_t Left(const std::string& directory) const {
    const auto names = os::ListDirectory(os::SystemCalls::Real(), directory);
    return names.ok() ? names->size() : 0;
  }
  void ExpectServedWithin(absl::Duration limit) {
    const absl::Time begin = absl::Now();
    ExpectOthersAreServed();
    EXPECT_LT(absl::Now() - begin, limit);
  }
};
SPOOLRPC_BOTH_TRANSPORTS(HostileFloodTest);

TEST_P(HostileFloodTest, ClientThatNeverReadsGetsNoMoreThanABoundOfMemory) {
  constexpr int kCalls = 200;
  const auto session = Accepted();
  const size_t before = Memory();
  Text request;
  request.set_number(4 * kMebibyte);  // the reply: 800 MiB altogether
  const std::string bytes = request.SerializeAsString();
  for (int call = 1; call <= kCalls; ++call) {
    session->Write(FrameType::kCall, 0, call,
                   RawSession::CallPayload(Header("/e2e.Probe/Run"), bytes));
  }
  // The server reads on: only so would it learn that its replies are read. What it has no room for
  // it does not execute.
  const auto ended = [this](const std::string& code) {
    const auto text = testing::ParseOpenMetrics(metrics_.OpenMetricsText());
    EXPECT_OK(text);
    const double value = testing::SampleValue(*text, "spoolrpc_calls_ended_total",
                                              {{"method", "/e2e.Probe/Run"}, {"code", code}});
    return std::isnan(value) ? 0 : static_cast<int>(value);
  };
  // (Hundreds of megabytes on a busy machine.)
  const absl::Time end = absl::Now() + 4 * kLong;
  while (ended("OK") + ended("RESOURCE_EXHAUSTED") < kCalls && absl::Now() < end) {
    session->Renew();  // it lives, and does not read
    absl::SleepFor(absl::Milliseconds(100));
  }
  ASSERT_EQ(ended("OK") + ended("RESOURCE_EXHAUSTED"), kCalls) << log().Text();
  EXPECT_EQ(executed_, ended("OK"));
  EXPECT_GT(executed_, 60);
  EXPECT_LT(executed_, 140);
  EXPECT_LT(Memory(), before + 600 * kMebibyte);
}

TEST_P(HostileFloodTest, AnnouncementsWithoutSessionsGo) {
  const std::string server = server_directory();
  for (int i = 0; i < 3000; ++i) {
    ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(),
                               absl::StrCat(server, "/inbox/", Name(i), ".1"), "", 0600, false));
  }
  const size_t descriptors = Descriptors();
  ExpectServedWithin(kLong);
  EXPECT_TRUE(Eventually([&] { return Left(server + "/inbox") == 0; }));
  EXPECT_LT(Descriptors(), descriptors + 20);
  ExpectServedWithin(absl::Seconds(20));
}

TEST_P(HostileFloodTest, SessionsThatAreRubbishAreRefusedAndGo) {
  const std::string server = server_directory();
  const std::string sessions = spool() + "/sessions/";
  const size_t before = Left(sessions);
  constexpr int kDamaged = 300;
  for (int i = 0; i < 1500; ++i) {
    // (Elsewhere: what has no record yet would be collected.)
    const std::string directory = scratch() / Name(i);
    ASSERT_EQ(mkdir(directory.c_str(), 0700), 0);
    if (i < kDamaged) {
      ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), directory + "/record",
                                 std::string(i, 'r'), 0600, false));
    } else if (i % 2 == 0) {
      ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), directory + "/requests",
                                 std::string(5000, 'l'), 0600, false));
    }
    ASSERT_EQ(rename(directory.c_str(), (sessions + Name(i)).c_str()), 0);
    Announce(Name(i), server);
  }
  const size_t descriptors = Descriptors();
  ExpectServedWithin(kLong);
  EXPECT_TRUE(Eventually([&] { return Left(server + "/inbox") == 0; }));
  EXPECT_TRUE(log().Await(absl::StrCat(sessions, Name(0))));
  // Those without a record are nobody's any more. The others stay until their leases have been
  // silent for long (tests/spool/collector_test.cc).
  EXPECT_TRUE(Eventually([&] { return Left(sessions) <= before + kDamaged + 2; }))
      << Left(sessions);
  EXPECT_LT(Descriptors(), descriptors + 20);
  ExpectServedWithin(absl::Seconds(20));
}

}  // namespace
}  // namespace spoolrpc::e2e
