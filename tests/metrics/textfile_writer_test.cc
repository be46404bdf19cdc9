// When the file is written, and what is said when it cannot be.
#include "spoolrpc/metrics/textfile_writer.h"

#include <errno.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/file.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::metrics {
namespace {

using testing::Call;
using testing::HasCode;

constexpr absl::Duration kBound = absl::Seconds(60);
constexpr absl::Duration kShort = absl::Milliseconds(10);
constexpr absl::Duration kNever = absl::Hours(24);

class TextfileWriterTest : public ::testing::Test {
 protected:
  TextfileWriter Writer(absl::Duration interval) {
    return TextfileWriter(&registry_, path_, interval, &calls_, [this](const absl::Status& status) {
      absl::MutexLock lock(&mu_);
      reports_.push_back(status);
    });
  }
  static bool Eventually(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + kBound;
    while (!condition()) {
      if (absl::Now() >= end) return false;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return true;
  }
  std::string Read() const {
    const auto text = os::ReadWholeFile(os::SystemCalls::Real(), path_, 1 << 20);
    return text.ok() ? *text : "";
  }
  std::vector<absl::Status> Reports() {
    absl::MutexLock lock(&mu_);
    return reports_;
  }

  const testing::ScratchDirectory scratch_;
  const std::string path_ = scratch_ / "metrics.prom";
  testing::FaultySystemCalls calls_;
  Registry registry_{Role::kServer};
  absl::Mutex mu_;
  std::vector<absl::Status> reports_ ABSL_GUARDED_BY(mu_);
};

TEST_F(TextfileWriterTest, WritesAgainAndAgain) {
  TextfileWriter writer = Writer(kShort);
  writer.Start();
  for (const char* const method : {"/p.S/One", "/p.S/Other"}) {
    registry_.ForMethod(method);
    EXPECT_TRUE(Eventually([&] { return absl::StrContains(Read(), method); })) << method;
  }
  EXPECT_TRUE(Reports().empty());
}

TEST_F(TextfileWriterTest, WritesOnceMoreWhenItStopsAndThenNoMore) {
  TextfileWriter writer = Writer(kNever);
  writer.Start();
  registry_.ForMethod("/p.S/Last");
  EXPECT_EQ(Read(), "");
  writer.Stop();
  EXPECT_EQ(Read(), registry_.OpenMetricsText());
  registry_.ForMethod("/p.S/Later");
  writer.Stop();
  EXPECT_FALSE(absl::StrContains(Read(), "Later"));
}

TEST_F(TextfileWriterTest, WritesNothingByItselfUnlessStarted) {
  {
    TextfileWriter writer = Writer(kShort);
    writer.Stop();
  }
  EXPECT_EQ(Read(), "");
  TextfileWriter writer = Writer(kShort);
  EXPECT_OK(writer.Write());
  EXPECT_EQ(Read(), "# EOF\n");
}

TEST_F(TextfileWriterTest, TellsOnceThatItFailsAndOnceThatItDoesNoMore) {
  TextfileWriter writer = Writer(kShort);
  const auto full = calls_.Fail({Call::kOpen, path_}, ENOSPC);
  writer.Start();
  EXPECT_TRUE(Eventually([&] { return calls_.Met(full) >= 5; }));
  ASSERT_EQ(Reports().size(), 1);
  EXPECT_THAT(Reports()[0], HasCode(absl::StatusCode::kResourceExhausted));
  calls_.Remove(full);
  EXPECT_TRUE(Eventually([&] { return Reports().size() == 2; }));
  EXPECT_OK(Reports()[1]);
  EXPECT_EQ(Read(), "# EOF\n");
}

}  // namespace
}  // namespace spoolrpc::metrics
