// Dumps of records and doorbells, of whole spools, and of what is none; the real program on the
// spool of real servers and clients.
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/cli/programs.h"
#include "tests/cli/spool_files.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::cli {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

SpoolFile FileNamed(absl::string_view part) {
  for (const SpoolFile& file : OneOfEach()) {
    if (absl::StrContains(file.path, part)) return file;
  }
  ADD_FAILURE() << part;
  return {};
}

class DumpSpoolTest : public ::testing::Test {
 protected:
  Outcome Dump(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "dump");
    return RunProgram(scratch_.path(), kSpoolrpc, arguments);
  }
  const testing::ScratchDirectory scratch_;
};

TEST_F(DumpSpoolTest, PrintsEveryFileOfALivingSpool) {
  const std::string copy = scratch_ / "copy";
  CopyLivingSpool(scratch_.path(), copy);
  const Outcome all = Dump({copy});
  EXPECT_EQ(all.status, 0) << all.out << all.err;
  EXPECT_THAT(all.out, AllOf(HasSubstr("format: spool record: format 1, made by spoolrpc"),
                             ContainsRegex("record: server record: pid [0-9]+ on "),
                             ContainsRegex("record: session record: client pid [0-9]+ on "),
                             ContainsRegex("lease: lease, open, [0-9,]+ calls? served"),
                             ContainsRegex("doorbell: doorbell: 1 slot, rung"),
                             ContainsRegex("verdicts/[0-9a-f]+: verdict: ACCEPTED"),
                             ContainsRegex("requests: request log, open, ring of .*frames"),
                             ContainsRegex("responses: response log, open, ring of .*frames"),
                             ContainsRegex("logs/[0-9a-f]+.log: a server's text log"),
                             HasSubstr(", 0 problems\n")));
  const std::vector<std::string> files = FilesBelow(copy);
  EXPECT_GE(files.size(), 10);
  for (const std::string& file : files) {
    EXPECT_THAT(all.out, HasSubstr(absl::StrCat("  ", file, ": ")));
    const Outcome one = Dump({absl::StrCat(copy, "/", file)});
    EXPECT_EQ(one.status, 0) << file << "\n" << one.out << one.err;
    EXPECT_THAT(one.out, Not(HasSubstr("PROBLEM")));
    if (absl::EndsWith(file, "/requests")) {
      EXPECT_THAT(one.out, ContainsRegex("CALL .*method_id: 1.* message 7 bytes"));
      const Outcome last = Dump({absl::StrCat(copy, "/", file), "--frames=2", "--payloads"});
      EXPECT_EQ(PrintedPositions(last.out).size() > 0, true);
      EXPECT_THAT(last.out, HasSubstr("world"));
    }
    if (absl::EndsWith(file, "/responses")) {
      EXPECT_THAT(one.out, ContainsRegex("REPLY .*ACKED OK, message 13 bytes"));
    }
  }
  EXPECT_EQ(Dump({absl::StrCat("spool:", copy)}).status, 0);
}

TEST_F(DumpSpoolTest, DamageInACopyIsFoundAndTheRestIsPrinted) {
  const std::string copy = scratch_ / "copy";
  CopyLivingSpool(scratch_.path(), copy);
  int damaged = 0;
  for (const std::string& file : FilesBelow(copy)) {
    if (absl::EndsWith(file, ".log")) continue;  // text
    const std::string path = absl::StrCat(copy, "/", file);
    const std::string whole = ReadFile(path);
    for (const size_t size : {size_t{0}, size_t{5}, size_t{20}, whole.size() - 1}) {
      WriteFile(path, absl::string_view(whole).substr(0, size));
      const Outcome outcome = Dump({path});
      EXPECT_EQ(outcome.status, 1) << file << " cut to " << size << "\n" << outcome.out;
      EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("at offset ", size, ": truncated")))
          << file << " cut to " << size;
    }
    std::string bytes = whole;
    bytes[3] ^= 0x20;
    WriteFile(path, bytes);
    const Outcome outcome = Dump({path});
    EXPECT_EQ(outcome.status, 1) << file;
    EXPECT_THAT(outcome.out, HasSubstr("at offset 0: wrong magic \"SPOo"));
    ++damaged;
  }
  const Outcome all = Dump({copy});
  EXPECT_EQ(all.status, 1);
  EXPECT_THAT(all.out, Not(HasSubstr(", 0 problems")));
  EXPECT_GE(damaged, 9);
}

TEST_F(DumpSpoolTest, OnlyRegularFilesAreOpened) {
  const std::string fifo = scratch_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path : {fifo, std::string("/dev/null")}) {
    const Outcome outcome = Dump({path});
    EXPECT_EQ(outcome.status, 3);
    EXPECT_THAT(outcome.err, HasSubstr("neither a regular file nor a directory"));
  }
  EXPECT_EQ(Dump({scratch_ / "nothing"}).status, 3);
  // In a directory they are named, and so is a symbolic link, which is not followed.
  const std::string directory = scratch_ / "directory";
  std::filesystem::create_directory(directory);
  std::filesystem::create_symlink("/", directory + "/link");
  std::filesystem::create_symlink(directory, directory + "/loop");
  std::filesystem::rename(fifo, directory + "/requests");
  std::filesystem::create_directory(directory + "/servers");
  const Outcome outcome = Dump({directory});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("  link\n    PROBLEM: neither"), HasSubstr("  loop\n    PROBLEM"),
                    HasSubstr("  requests\n    PROBLEM"), HasSubstr("  servers/\n"),
                    HasSubstr("0 files, 3 problems")));
  // The argument itself may be a link, as a spool's path may be.
  std::filesystem::create_directory_symlink(directory, scratch_ / "spool");
  EXPECT_THAT(Dump({scratch_ / "spool"}).out, HasSubstr("0 files, 3 problems"));
}

TEST_F(DumpSpoolTest, HugeAndDeepThingsEnd) {
  const std::string huge = scratch_ / "requests";
  const SpoolFile log = FileNamed("/requests");
  WriteFile(huge, log.bytes);
  const uintmax_t terabyte = uintmax_t{1} << 40;
  std::filesystem::resize_file(huge, terabyte);
  Outcome outcome = Dump({huge, "--frames=1"});
  EXPECT_THAT(outcome.out, HasSubstr("request log, closed"));
  // Without a head that could say how large the ring is.
  WriteFile(huge, absl::string_view(log.bytes).substr(0, 40));
  std::filesystem::resize_file(huge, terabyte);
  outcome = Dump({huge});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("wrong checksum of the head"));
  WriteFile(huge, FileNamed("format").bytes);
  std::filesystem::resize_file(huge, terabyte);
  outcome = Dump({huge});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("a record has at most"));
  std::filesystem::remove(huge);

  std::string deep = scratch_ / "deep";
  for (int i = 0; i < 30; ++i) deep += "/d";
  std::filesystem::create_directories(deep);
  outcome = Dump({scratch_ / "deep"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("deeper than any directory of a spool"));
}

TEST_F(DumpSpoolTest, NamesOfFilesDoNotReachTheTerminalRaw) {
  const std::string directory = scratch_ / "directory";
  std::filesystem::create_directory(directory);
  WriteFile(directory + "/\x1b[2Jname", "x");
  const Outcome outcome = Dump({directory});
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("\\x1b[2Jname"), Not(HasSubstr("\x1b"))));
}

// Every record at every length and with every bit flipped: the dump complains exactly where the
// runtime's decoder refuses, and says how it is cut short.
TEST(DumpRecordTest, ComplainsWhereTheRuntimeRefuses) {
  for (const SpoolFile& file : OneOfEach()) {
    if (!absl::StartsWith(file.bytes, "SPOOLREC")) continue;
    const std::string path = absl::StrCat("spool/", file.path);
    const Dumped whole = Dump(path, file.bytes);
    EXPECT_EQ(whole.problems, 0) << whole.text;
    for (size_t size = 0; size < file.bytes.size(); ++size) {
      const Dumped dumped = Dump(path, absl::string_view(file.bytes).substr(0, size));
      ASSERT_GE(dumped.problems, 1) << file.path << " cut to " << size;
      ASSERT_THAT(dumped.text, HasSubstr(absl::StrCat("PROBLEM: at offset ", size, ": truncated")))
          << file.path << " cut to " << size;
    }
    for (size_t bit = 0; bit < 8 * file.bytes.size(); ++bit) {
      std::string bytes = file.bytes;
      bytes[bit / 8] ^= 1 << (bit % 8);
      ASSERT_GE(Dump(path, bytes).problems, 1) << file.path << " bit " << bit;
    }
    const Dumped longer = Dump(path, file.bytes + "x");
    EXPECT_EQ(longer.problems, 1);
    EXPECT_THAT(longer.text, ContainsRegex("1 byte after the (message|body)'s end"));
  }
}

TEST(DumpRecordTest, SaysWhatStandsThere) {
  const SpoolFile server = FileNamed("servers/5a");
  Dumped dumped = Dump(server.path, server.bytes);
  EXPECT_THAT(
      dumped.text,
      AllOf(HasSubstr("server record: pid 4711 on node-7, uid 1000, 1 service with 1 method"),
            HasSubstr("server_id: 5a5a5a5a"), HasSubstr("host: \"node-7\""),
            HasSubstr("name: \"helloworld.Greeter\""), HasSubstr("fingerprint: 0x037cc3a82a3e5830"),
            HasSubstr("name: \"SayHello\""), HasSubstr("kind: UNARY"),
            HasSubstr("request_type: \"helloworld.HelloRequest\""),
            HasSubstr("response_type: \"helloworld.HelloReply\""),
            HasSubstr("fingerprint: 0x2fa6f5359f42651c")));
  // Damaged bytes are shown, and said to be.
  std::string bytes = server.bytes;
  bytes[bytes.size() - 1] ^= 1;
  dumped = Dump(server.path, bytes);
  EXPECT_THAT(dumped.text, AllOf(HasSubstr("PROBLEM: at offset 16: wrong checksum: found 0x"),
                                 HasSubstr("unverified"), HasSubstr("host: \"node-7\"")));
  // By the path where the kind is damaged, and by the kind where the path says nothing.
  bytes = server.bytes;
  bytes[10] = 99;
  dumped = Dump(server.path, bytes);
  EXPECT_THAT(dumped.text, AllOf(HasSubstr("unknown kind 99"), HasSubstr("host: \"node-7\"")));
  EXPECT_EQ(Dump("somewhere", server.bytes).problems, 0);
  // A record in another's place.
  EXPECT_THAT(Dump("sessions/" + SessionName() + "/record", server.bytes).text,
              HasSubstr("where a session record (3) belongs"));
  EXPECT_THAT(Dump("servers/" + SessionName() + "/record", server.bytes).text,
              HasSubstr("the record of 5a5a"));
}

TEST(DumpRecordTest, AMethodThatIsThereTwiceIsSaid) {
  const SpoolFile server = FileNamed("servers/5a");
  spool::ServerRecord record;
  ASSERT_TRUE(spool::DecodeRecord(server.bytes, spool::RecordKind::kServer, &record).ok());
  *record.mutable_services(0)->add_methods() = record.services(0).methods(0);
  const Dumped dumped = Dump(server.path, spool::EncodeRecord(spool::RecordKind::kServer, record));
  EXPECT_EQ(dumped.problems, 1);
  EXPECT_THAT(dumped.text, HasSubstr("the method helloworld.Greeter/SayHello twice"));
}

TEST(DumpRecordTest, ANewerFormatIsNamed) {
  SpoolFile file = FileNamed("format");
  file.bytes[8] = 2;
  EXPECT_THAT(Dump(file.path, file.bytes).text,
              HasSubstr("at offset 8: format version 2, this software knows 1"));
}

TEST(DumpDoorbellTest, PrintsWhatWasRungAndComplainsOfWhatIsNoDoorbell) {
  const SpoolFile file = FileNamed("doorbell");
  Dumped dumped = Dump(file.path, file.bytes);
  EXPECT_EQ(dumped.problems, 0) << dumped.text;
  EXPECT_THAT(dumped.text, AllOf(HasSubstr("doorbell: 70 slots, rung 4 times"),
                                 HasSubstr("slot 1: published 4096, not echoed, rung"),
                                 HasSubstr("slot 69: published 512, echoed, rung"),
                                 HasSubstr("inbox 1"), Not(HasSubstr("slot 2:"))));
  for (size_t size = 0; size < file.bytes.size(); ++size) {
    dumped = Dump(file.path, absl::string_view(file.bytes).substr(0, size));
    ASSERT_GE(dumped.problems, 1) << size;
    ASSERT_THAT(dumped.text, HasSubstr(absl::StrCat("at offset ", size, ": truncated"))) << size;
  }
  std::string bytes = file.bytes;
  bytes[15] = '\x7f';
  EXPECT_THAT(Dump(file.path, bytes).text, HasSubstr("a doorbell has 1 to 4096"));
  bytes = file.bytes;
  bytes[8] = 9;
  EXPECT_THAT(Dump(file.path, bytes).text, HasSubstr("format version 9"));
}

TEST(DumpOtherTest, AnnouncementsAndForeignFilesAreNamed) {
  const std::string announcement = absl::StrCat("s/inbox/", SessionName(), ".1");
  EXPECT_THAT(Dump(announcement, "").text,
              HasSubstr(absl::StrCat("announcement of session ", SessionName())));
  EXPECT_EQ(Dump(announcement, "").problems, 0);
  EXPECT_EQ(Dump(announcement, "x").problems, 1);
  EXPECT_EQ(Dump("s/.nfs0001", "abc").problems, 0);
  const Dumped other = Dump("s/notes.txt", "\x01hello");
  EXPECT_EQ(other.problems, 1);
  EXPECT_THAT(other.text, AllOf(HasSubstr("unknown magic \"\\x01hello\""), HasSubstr("68 65 6c")));
}

}  // namespace
}  // namespace spoolrpc::cli
