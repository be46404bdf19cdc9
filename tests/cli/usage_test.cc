// The command line of spoolrpc: help that suffices, and what wrong usage gets.
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/programs.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class UsageTest : public ::testing::Test {
 protected:
  Outcome Spoolrpc(const std::vector<std::string>& arguments) {
    return RunProgram(scratch_.path(), kSpoolrpc, arguments);
  }
  const testing::ScratchDirectory scratch_;
};

TEST_F(UsageTest, HelpListsTheCommands) {
  for (const char* word : {"help", "--help", "-h"}) {
    const Outcome outcome = Spoolrpc({word});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.out,
                AllOf(HasSubstr("\n  status "), HasSubstr("\n  dump "), HasSubstr("\n  ticket "),
                      HasSubstr("\n  drain "), HasSubstr("\n  stop "), HasSubstr("\n  gc "),
                      HasSubstr("\n  doctor ")));
    EXPECT_THAT(outcome.err, IsEmpty());
  }
}

TEST_F(UsageTest, HelpOfACommandNamesItsFlagsAndItsExitStatus) {
  const Outcome status = Spoolrpc({"status", "--help"});
  EXPECT_EQ(status.status, 0);
  for (const char* text : {"usage: spoolrpc status", "--json\n", "--wait[=DURATION]",
                           "--service=", "--sessions=...  (default 20)", "Exit status:", "  3  "}) {
    EXPECT_THAT(status.out, HasSubstr(text));
  }
  EXPECT_THAT(status.out, ::testing::Not(HasSubstr("--payloads"))) << "a flag of another command";
  const Outcome dump = Spoolrpc({"help", "dump"});
  EXPECT_EQ(dump.status, 0);
  for (const char* text : {"usage: spoolrpc dump", "--frames=", "--payloads\n", "Exit status:"}) {
    EXPECT_THAT(dump.out, HasSubstr(text));
  }
}

TEST_F(UsageTest, HelpFitsIntoEightyColumns) {
  for (const char* command : {"status", "dump", "ticket", "drain", "stop", "gc", "doctor"}) {
    const std::string help = Spoolrpc({command, "--help"}).out;
    for (size_t begin = 0; begin < help.size();) {
      const size_t end = help.find('\n', begin);
      ASSERT_NE(end, std::string::npos);
      EXPECT_LE(end - begin, 80) << help.substr(begin, end - begin);
      begin = end + 1;
    }
  }
}

TEST_F(UsageTest, WrongUsageIsStatusTwoAndSaysWhatToDo) {
  const struct {
    std::vector<std::string> arguments;
    const char* says;
  } cases[] = {
      {{}, "spoolrpc help"},
      {{"stauts"}, "unknown command 'stauts'; `spoolrpc help` lists"},
      {{"help", "nothing"}, "unknown command 'nothing'"},
      {{"status", "--jsn"}, "unknown flag '--jsn'"},
      // A flag, but not of this command.
      {{"status", "--payloads"}, "unknown flag '--payloads'"},
      {{"status", "a", "b"}, "what is 'b' for?"},
      {{"status", "--wait=soon"}, "30s"},
      {{"status", "--wait=-3s"}, "30s"},
      {{"status", "--sessions"}, "--sessions wants a value"},
      {{"status", "--sessions=many"}, "sessions"},
      {{"status", "--nosessions"}, "unknown flag"},
      {{"status", "http://example.com/spool"}, "unknown scheme 'http'"},
      {{"dump"}, "'dump' wants 1 argument"},
      {{"dump", "a", "b"}, "what is 'b' for?"},
      {{"dump", "a", "--frames=x"}, "frames"},
      {{"dump", "ftp:/x", "--json"}, "unknown flag '--json'"},
      {{"doctor"}, "'doctor' wants 1 argument"},
      {{"doctor", "/tmp", "--pair=a b"}, "write a word"},
      {{"gc", "--dry-runs"}, "unknown flag '--dry-runs'"},
  };
  for (const auto& c : cases) {
    const Outcome outcome = Spoolrpc(c.arguments);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(c.says));
    EXPECT_THAT(outcome.out, IsEmpty());
    // "spoolrpc: " what is wrong, then what to do.
    EXPECT_TRUE(absl::StartsWith(outcome.err, "spoolrpc: ")) << outcome.err;
  }
}

TEST_F(UsageTest, FlagsMayStandBeforeAndAfterArguments) {
  const std::string none = scratch_ / "none";
  for (const auto& arguments : {std::vector<std::string>{"status", none, "--json", "--sessions=3"},
                                {"status", "--json", "--sessions", "3", none},
                                {"status", "-json", "--nojson", "--json=true", "--", none}}) {
    const Outcome outcome = Spoolrpc(arguments);
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("\"path\": \"", none, "\"")));
  }
}

TEST_F(UsageTest, VersionNamesTheFormat) {
  const Outcome outcome = Spoolrpc({"--version"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("spool format 1"));
}

TEST_F(UsageTest, AFullDiskBehindStandardOutputIsNoAnswer) {
  // /dev/full takes no byte.
  const Outcome outcome = RunProgram(scratch_.path(), "tests/cli/to_full_disk.sh", {"help"});
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.err, HasSubstr("No space left"));
}

}  // namespace
}  // namespace spoolrpc::cli
