// Which files a reader takes for a log: every other one may be a trap.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <string>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/error.h"
#include "tests/log/log_test_util.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::log {
namespace {

using ::spoolrpc::testing::Call;
using ::spoolrpc::testing::FaultySystemCalls;
using ::spoolrpc::testing::HasCode;
using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::MemoryFileSystem;
using ::spoolrpc::testing::ScratchDirectory;
using ::spoolrpc::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

class LogReaderOpenTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    access_.direct_reads = GetParam();
    ASSERT_OK(CreateLogFile(os::SystemCalls::Real(), path_, TestHead(), FileAccess{}, 0600));
  }

  absl::Status Open(uint32_t owner = geteuid()) {
    return Open(TestId(), Direction::kRequests, owner);
  }
  absl::Status Open(const std::string& id, Direction direction, uint32_t owner = geteuid()) {
    alarm(30);  // kills the test where an open would hang
    const auto reader = LogReader::Open(&calls_, path_, id, direction, owner, access_, &buffer_);
    alarm(0);
    return reader.status();
  }
  // Refused, naming the path and why.
  ::testing::Matcher<const absl::Status&> Refused(const std::string& why) {
    return StatusIs(absl::StatusCode::kFailedPrecondition, AllOf(HasSubstr(path_), HasSubstr(why)));
  }
  void Patch(uint64_t offset, absl::string_view bytes) {
    os::OpenOptions options;
    options.access = os::OpenOptions::Access::kWrite;
    const auto file = os::OpenFile(os::SystemCalls::Real(), path_, options);
    ASSERT_OK(file);
    ASSERT_OK((*file)->WriteAt(offset, bytes));
  }
  void Remove() { ASSERT_EQ(unlink(path_.c_str()), 0); }

  ScratchDirectory scratch_;
  const std::string path_ = scratch_ / "requests";
  FaultySystemCalls calls_;
  FileAccess access_;
  AlignedBuffer buffer_{LogReader::kBufferSize};
};

INSTANTIATE_TEST_SUITE_P(Access, LogReaderOpenTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Direct" : "Plain"; });

TEST_P(LogReaderOpenTest, TakesALog) { EXPECT_OK(Open()); }

TEST_P(LogReaderOpenTest, NoFile) {
  Remove();
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("open " + path_)));
}

TEST_P(LogReaderOpenTest, FileOfAnotherUser) {
  EXPECT_THAT(Open(geteuid() + 1), Refused("belongs to uid"));
  if (geteuid() != 0 || chown(path_.c_str(), 12345, 0) != 0) {
    GTEST_SKIP() << "giving the file away takes root";
  }
  EXPECT_THAT(Open(), Refused("belongs to uid 12345, not to uid 0"));
  EXPECT_OK(Open(12345));
}

TEST_P(LogReaderOpenTest, HardLink) {
  ASSERT_EQ(link(path_.c_str(), (scratch_ / "second").c_str()), 0);
  EXPECT_THAT(Open(), Refused("2 links"));
  ASSERT_EQ(unlink((scratch_ / "second").c_str()), 0);
  EXPECT_OK(Open());
}

TEST_P(LogReaderOpenTest, SymbolicLink) {
  ASSERT_EQ(rename(path_.c_str(), (scratch_ / "real").c_str()), 0);
  ASSERT_EQ(symlink((scratch_ / "real").c_str(), path_.c_str()), 0);
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_P(LogReaderOpenTest, Fifo) {
  Remove();
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(Open(), Refused("not a regular file"));
}

TEST_P(LogReaderOpenTest, Directory) {
  Remove();
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  EXPECT_THAT(Open(), Refused("not a regular file"));
}

TEST_P(LogReaderOpenTest, TruncatedAtAnyBlockOrHeadByte) {
  for (off_t size = kHeadSize + kMinCapacity - 1; size >= 0; size -= size > 5000  ? 4095
                                                                     : size > 100 ? 500
                                                                                  : 1) {
    ASSERT_EQ(truncate(path_.c_str(), size), 0);
    const absl::Status refused = Open();
    EXPECT_FALSE(refused.ok()) << size;
    EXPECT_THAT(std::string(refused.message()), HasSubstr(path_));
    EXPECT_EQ(refused.code(), size < kEncodedHeadSize ? absl::StatusCode::kDataLoss
                                                      : absl::StatusCode::kFailedPrecondition)
        << size << " " << refused;
  }
}

TEST_P(LogReaderOpenTest, OfAnotherSession) {
  std::string other = TestId();
  other[15] ^= 1;
  EXPECT_THAT(Open(other, Direction::kRequests), Refused(absl::BytesToHexString(other)));
}

TEST_P(LogReaderOpenTest, OfTheOtherDirection) {
  EXPECT_THAT(Open(TestId(), Direction::kResponses), Refused("other direction"));
  EXPECT_THAT(Open(TestId(), Direction::kLease), Refused("other direction"));
}

TEST_P(LogReaderOpenTest, OfANewerFormat) {
  std::string head = EncodeHead(TestHead());
  head[8] = 2;
  const uint64_t checksum = XXH3_64bits(head.data(), 64);
  memcpy(&head[64], &checksum, sizeof(checksum));
  Patch(0, head);
  EXPECT_THAT(Open(), AllOf(Refused("format version 2"), Refused("knows 1")));
}

TEST_P(LogReaderOpenTest, AnyDamagedByteOfTheHead) {
  const std::string good = EncodeHead(TestHead());
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] ^= 0x40;
    Patch(0, bad);
    EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_))) << at;
  }
}

TEST_P(LogReaderOpenTest, AHeadThatIsTornWhileItIsRenewedIsReadAgain) {
  const std::string good = EncodeHead(TestHead());
  for (int readings = 1; readings <= 3; ++readings) {
    Patch(0, "torn torn torn torn");
    calls_.Clear();
    calls_.ResetCounts();
    calls_.Run({Call::kPread, "", /*skip=*/readings - 1, 1}, [&] { Patch(0, good); });
    EXPECT_OK(Open()) << "good at reading " << readings;
  }
}

TEST_P(LogReaderOpenTest, EveryFailingCallIsReportedWithThePath) {
  for (const Call call : {Call::kOpen, Call::kFstat, Call::kPread}) {
    calls_.Clear();
    calls_.Fail({call}, EIO);
    const absl::Status refused = Open();
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kUnavailable, HasSubstr(path_)));
    EXPECT_EQ(os::ErrnoOf(refused), EIO);
  }
}

TEST_P(LogReaderOpenTest, ReopeningChecksTheFileAgain) {
  ASSERT_OK_AND_ASSIGN(const auto reader, MakeReader(&calls_, path_, TestHead(), access_));
  EXPECT_OK(reader->Reopen());
  ASSERT_EQ(link(path_.c_str(), (scratch_ / "second").c_str()), 0);
  EXPECT_THAT(reader->Reopen(), Refused("2 links"));
  ASSERT_EQ(unlink((scratch_ / "second").c_str()), 0);
  EXPECT_OK(reader->Reopen());
  if (geteuid() == 0 && chown(path_.c_str(), 12345, 0) == 0) {
    EXPECT_THAT(reader->Reopen(), Refused("belongs to uid 12345"));
  }
  Remove();
  EXPECT_THAT(reader->Reopen(), HasCode(absl::StatusCode::kNotFound));
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(reader->Reopen(), Refused("not a regular file"));
  Remove();
  ASSERT_EQ(symlink("/etc/passwd", path_.c_str()), 0);
  EXPECT_THAT(reader->Reopen(), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(reader->Read(100, &buffer_)) << "the file that it holds stays open";
}

// Where uids are real: this needs no root.
TEST(LogReaderOpen, TheOwnerIsTheFilesNotTheReaders) {
  MemoryFileSystem system;
  const auto client = system.NewClient();
  ASSERT_OK(CreateLogFile(client.get(), "/log", TestHead(), FileAccess{}, 0600));
  system.SetOwner("/log", 7);
  EXPECT_OK(MakeReader(client.get(), "/log", TestHead(), FileAccess{}, 7));
  EXPECT_THAT(MakeReader(client.get(), "/log", TestHead(), FileAccess{}, 1000),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("belongs to uid 7, not to uid 1000")));
}

}  // namespace
}  // namespace spoolrpc::log
