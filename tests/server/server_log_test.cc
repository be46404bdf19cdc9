// A server's own log: levels, a file that stays bounded, and former servers' files that go.
#include "spoolrpc/server/server_log.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ServerLogTest : public ::testing::Test {
 protected:
  ServerLogTest() {
    os::Environment env;
    env.calls = &faults_;
    spool_ = *spool::Spool::OpenOrCreate(env, scratch_ / "spool", spool::Transport::kAuto);
  }
  std::string PathOf(char id) const {
    return spool::Join(spool_->logs(), spool::IdName(std::string(16, id)) + ".log");
  }
  std::string Content(char id) const {
    std::ifstream in(PathOf(id));
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }

  const testing::ScratchDirectory scratch_;
  testing::FaultySystemCalls faults_;
  std::shared_ptr<const spool::Spool> spool_;
};

TEST_F(ServerLogTest, LinesReachTheFileWithDrainAndNotBefore) {
  ServerLog log(LogLevel::kInfo, nullptr);
  log.Log(LogLevel::kInfo, "before there is a file");
  log.OpenFile(*spool_, std::string(16, 'a'));
  log.Log(LogLevel::kDebug, "too fine");
  log.Log(LogLevel::kWarning, "a warning");
  EXPECT_EQ(Content('a'), "");
  log.Drain();
  EXPECT_THAT(Content('a'), HasSubstr("INFO before there is a file\n"));
  EXPECT_THAT(Content('a'), HasSubstr("WARNING a warning\n"));
  EXPECT_THAT(Content('a'), Not(HasSubstr("too fine")));
  struct stat info;
  ASSERT_EQ(stat(PathOf('a').c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0077, 0);
}

TEST_F(ServerLogTest, NoneIsNone) {
  ServerLog log(LogLevel::kNone, nullptr);
  log.OpenFile(*spool_, std::string(16, 'a'));
  log.Log(LogLevel::kError, "x");
  log.Drain();
  EXPECT_FALSE(std::filesystem::exists(PathOf('a')));
}

TEST_F(ServerLogTest, FileStaysBounded) {
  ServerLog log(LogLevel::kInfo, nullptr);
  log.OpenFile(*spool_, std::string(16, 'a'));
  const std::string line(10'000, 'x');
  for (int i = 0; i < 1000; ++i) {
    log.Log(LogLevel::kInfo, line);
    log.Drain();
  }
  EXPECT_LT(std::filesystem::file_size(PathOf('a')), 5 << 20);
}

TEST_F(ServerLogTest, LinesThatNobodyDrainsAreCountedNotKept) {
  ServerLog log(LogLevel::kInfo, nullptr);
  log.OpenFile(*spool_, std::string(16, 'a'));
  for (int i = 0; i < 1500; ++i) log.Log(LogLevel::kInfo, "line");
  log.Drain();
  EXPECT_THAT(Content('a'), HasSubstr("500 more lines were dropped"));
}

TEST_F(ServerLogTest, OnlyTheNewestLogsStay) {
  for (int i = 0; i < 25; ++i) {
    ServerLog log(LogLevel::kInfo, nullptr);
    log.OpenFile(*spool_, std::string(16, static_cast<char>('a' + i)));
    log.Log(LogLevel::kInfo, "x");
    log.Drain();
  }
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(spool_->logs())) {
    files += entry.path().extension() == ".log";
  }
  EXPECT_LE(files, 10);
  EXPECT_TRUE(std::filesystem::exists(PathOf('a' + 24)));
}

TEST_F(ServerLogTest, FileThatCannotBeWrittenStopsNobody) {
  faults_.Fail({testing::Call::kPwrite, "/logs/"}, ENOSPC);
  ServerLog log(LogLevel::kInfo, nullptr);
  log.OpenFile(*spool_, std::string(16, 'a'));
  log.Log(LogLevel::kInfo, "lost");
  log.Drain();
  faults_.Clear();
  log.Log(LogLevel::kInfo, "kept");
  log.Drain();
  EXPECT_THAT(Content('a'), HasSubstr("kept"));
}

}  // namespace
}  // namespace spoolrpc::server
