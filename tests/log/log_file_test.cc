// Making log files: their bytes, and what is left when any step fails.
#include "spoolrpc/log/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
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
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr FileAccess kLocal = {};
constexpr FileAccess kNetwork = {/*direct_reads=*/true, /*flushed_writes=*/true};

TEST(CreateLogFile, WritesHeadAndZeros) {
  for (const size_t max_write : {4096, 5000, 65536, 1 << 20}) {
    for (const uint64_t capacity : {kMinCapacity, kMinCapacity + 4096, kDefaultCapacity}) {
      const ScratchDirectory scratch;
      FileAccess access = kLocal;
      access.max_write = max_write;
      ASSERT_OK(CreateLogFile(os::SystemCalls::Real(), scratch / "log", TestHead(capacity), access,
                              0600));
      ASSERT_OK_AND_ASSIGN(const std::string content,
                           os::ReadWholeFile(os::SystemCalls::Real(), scratch / "log", 1 << 20));
      std::string expected = EncodeHead(TestHead(capacity));
      expected.resize(kHeadSize + capacity, '\0');
      EXPECT_EQ(content.size(), expected.size());
      EXPECT_TRUE(content == expected) << "max_write " << max_write << " capacity " << capacity;
    }
  }
}

TEST(CreateLogFile, ALeaseIsAsLargeAsNetworkFileSystemsNeedIt) {
  const ScratchDirectory scratch;
  ASSERT_OK(CreateLogFile(os::SystemCalls::Real(), scratch / "lease",
                          TestHead(0, Direction::kLease), kLocal, 0600));
  EXPECT_EQ(os::StatPath(os::SystemCalls::Real(), scratch / "lease")->size, kLeaseFileSize);
}

TEST(CreateLogFile, ItsBlocksAreWrittenNotLeftAsAHole) {
  const ScratchDirectory scratch;
  FaultySystemCalls calls;
  ASSERT_OK(CreateLogFile(&calls, scratch / "log", TestHead(), kNetwork, 0600));
  // Each byte once, in writes of at most max_write; then one flush; then closed.
  EXPECT_EQ(calls.Count(Call::kPwrite), (kHeadSize + kMinCapacity + 65535) / 65536);
  EXPECT_EQ(calls.Count(Call::kFsync), 1);
  EXPECT_EQ(calls.Count(Call::kClose), 1);
  struct stat s;
  ASSERT_EQ(stat((scratch / "log").c_str(), &s), 0);
  // tmpfs and ext4 both count blocks at once for what was written.
  EXPECT_GE(s.st_blocks * 512, static_cast<int64_t>(kMinCapacity));
}

TEST(CreateLogFile, IsNotFlushedOnALocalFileSystem) {
  const ScratchDirectory scratch;
  FaultySystemCalls calls;
  ASSERT_OK(CreateLogFile(&calls, scratch / "log", TestHead(), kLocal, 0600));
  EXPECT_EQ(calls.Count(Call::kFsync) + calls.Count(Call::kFdatasync), 0);
}

TEST(CreateLogFile, RefusesAHeadThatNoReaderWouldAccept) {
  const ScratchDirectory scratch;
  LogHead short_id = TestHead();
  short_id.id = "short";
  LogHead long_id = TestHead();
  long_id.id += "x";
  for (const LogHead& head :
       {short_id, long_id, TestHead(0), TestHead(kMinCapacity - 4096), TestHead(kMinCapacity + 1),
        TestHead(kMaxCapacity * 2), TestHead(kMinCapacity, Direction::kLease)}) {
    EXPECT_THAT(CreateLogFile(os::SystemCalls::Real(), scratch / "log", head, kLocal, 0600),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(scratch / "log")));
    EXPECT_THAT(os::StatPath(os::SystemCalls::Real(), scratch / "log"),
                HasCode(absl::StatusCode::kNotFound));
  }
}

TEST(CreateLogFile, RefusesANameThatExists) {
  const ScratchDirectory scratch;
  ASSERT_OK(CreateLogFile(os::SystemCalls::Real(), scratch / "log", TestHead(), kLocal, 0600));
  EXPECT_THAT(CreateLogFile(os::SystemCalls::Real(), scratch / "log", TestHead(), kLocal, 0600),
              HasCode(absl::StatusCode::kAlreadyExists));
}

TEST(CreateLogFile, EveryFailingCallIsReportedWithThePath) {
  const struct {
    Call call;
    int skip;
    const char* operation;
  } kCases[] = {{Call::kOpen, 0, "create "},
                {Call::kPwrite, 0, "write "},
                {Call::kPwrite, 1, "write "},
                {Call::kFsync, 0, "flush "},
                {Call::kClose, 0, "close "}};
  for (const auto& c : kCases) {
    const ScratchDirectory scratch;
    FaultySystemCalls calls;
    calls.Fail({c.call, "", c.skip, 1}, EIO);
    EXPECT_THAT(CreateLogFile(&calls, scratch / "log", TestHead(), kNetwork, 0600),
                StatusIs(absl::StatusCode::kUnavailable,
                         StartsWith(c.operation + (scratch / "log") + ": ")));
    EXPECT_EQ(calls.Count(Call::kClose), c.call == Call::kOpen ? 0 : 1);
  }
}

TEST(CreateLogFile, AFullDiskIsMetHereWhereverItIsFull) {
  for (const uint64_t space : {uint64_t{0}, uint64_t{100}, uint64_t{4096}, uint64_t{65536},
                               kHeadSize + kMinCapacity - 1}) {
    const ScratchDirectory scratch;
    FaultySystemCalls calls;
    calls.LimitSpace(space);
    EXPECT_THAT(CreateLogFile(&calls, scratch / "log", TestHead(), kLocal, 0600),
                HasCode(absl::StatusCode::kResourceExhausted));
    calls.Clear();
    os::RemoveFile(&calls, scratch / "log").IgnoreError();
    calls.LimitSpace(kHeadSize + kMinCapacity);
    EXPECT_OK(CreateLogFile(&calls, scratch / "log", TestHead(), kLocal, 0600));
  }
}

TEST(OpenLogForWriting, FlushesEachWriteOnlyWhereThatIsNeeded) {
  MemoryFileSystem system;
  const auto client = system.NewClient({/*network=*/true});
  const auto other = system.NewClient({/*network=*/true});
  ASSERT_OK(CreateLogFile(client.get(), "/log", TestHead(), kNetwork, 0600));
  for (const bool flushed : {false, true}) {
    FileAccess access = kNetwork;
    access.flushed_writes = flushed;
    ASSERT_OK_AND_ASSIGN(const auto file, OpenLogForWriting(client.get(), "/log", access));
    ASSERT_OK(file->WriteAt(kHeadSize, flushed ? "flushed" : "pending"));
    ASSERT_OK_AND_ASSIGN(const std::string seen, os::ReadWholeFile(other.get(), "/log", 1 << 20));
    EXPECT_EQ(seen.substr(kHeadSize, 7), flushed ? "flushed" : std::string(7, '\0'));
  }
}

TEST(OpenLogForReading, FallsBackWhereTheFileSystemRefusesODirect) {
  const ScratchDirectory scratch;
  ASSERT_OK(CreateLogFile(os::SystemCalls::Real(), scratch / "log", TestHead(), kLocal, 0600));
  for (const int error : {EINVAL, EOPNOTSUPP}) {
    FaultySystemCalls calls;
    calls.Fail({Call::kOpen, "", 0, 1}, error);
    bool direct = true;
    EXPECT_OK(OpenLogForReading(&calls, scratch / "log", kNetwork, &direct));
    EXPECT_FALSE(direct);
  }
  FaultySystemCalls calls;
  calls.Fail({Call::kOpen, "", 0, 1}, EACCES);
  bool direct = false;
  EXPECT_THAT(OpenLogForReading(&calls, scratch / "log", kNetwork, &direct),
              HasCode(absl::StatusCode::kPermissionDenied));
  EXPECT_EQ(calls.Count(Call::kOpen), 1) << "no second try after other errors";
}

TEST(AlignedBuffer, IsAlignedAndRoundedUp) {
  for (const size_t size : {1, 4095, 4096, 4097, 65536 + 4096}) {
    AlignedBuffer buffer(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 4096, 0);
    EXPECT_EQ(buffer.size() % 4096, 0);
    EXPECT_GE(buffer.size(), size);
    memset(buffer.data(), 1, buffer.size());
  }
}

}  // namespace
}  // namespace spoolrpc::log
