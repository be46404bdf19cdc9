#include "spoolrpc/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/error.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::os {
namespace {

using ::spoolrpc::testing::Call;
using ::spoolrpc::testing::FaultySystemCalls;
using ::spoolrpc::testing::HasCode;
using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::ScratchDirectory;
using ::spoolrpc::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class FileTest : public ::testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return scratch_ / name; }
  std::unique_ptr<File> Create(absl::string_view name, absl::string_view content = "") {
    OpenOptions options;
    options.access = OpenOptions::Access::kReadWrite;
    options.create = true;
    auto file = OpenFile(&calls_, Path(name), options);
    if (!file.ok() || !(*file)->WriteAt(0, content).ok()) abort();
    return *std::move(file);
  }
  std::string Content(absl::string_view name) {
    const auto content = ReadWholeFile(SystemCalls::Real(), Path(name), 1 << 20);
    return content.ok() ? *content : content.status().ToString();
  }

  ScratchDirectory scratch_;
  FaultySystemCalls calls_;
};

TEST_F(FileTest, WritesAndReadsAtOffsets) {
  const auto file = Create("file");
  ASSERT_OK(file->WriteAt(5, "world"));
  ASSERT_OK(file->WriteAt(0, "hello"));
  char buffer[20];
  ASSERT_OK_AND_ASSIGN(const size_t all, file->ReadAt(0, buffer, sizeof(buffer)));
  EXPECT_EQ(std::string(buffer, all), "helloworld");
  ASSERT_OK_AND_ASSIGN(const size_t some, file->ReadAt(7, buffer, 2));
  EXPECT_EQ(std::string(buffer, some), "rl");
  ASSERT_OK_AND_ASSIGN(const size_t none, file->ReadAt(100, buffer, 2));
  EXPECT_EQ(none, 0);
}

TEST_F(FileTest, ShortReadsAndWritesAreContinued) {
  calls_.Shorten({Call::kPwrite}, 3);
  calls_.Shorten({Call::kPread}, 2);
  const auto file = Create("file", "0123456789");
  EXPECT_EQ(Content("file"), "0123456789");
  char buffer[20];
  ASSERT_OK_AND_ASSIGN(const size_t got, file->ReadAt(1, buffer, 8));
  EXPECT_EQ(std::string(buffer, got), "12345678");
  EXPECT_EQ(calls_.Count(Call::kPwrite), 4);
}

TEST_F(FileTest, InterruptedCallsAreRepeated) {
  for (int call = 0; call <= static_cast<int>(Call::kListAt); ++call) {
    // The kernel says that the descriptor is closed even when it says EINTR.
    if (static_cast<Call>(call) == Call::kClose || static_cast<Call>(call) == Call::kUnmap)
      continue;
    calls_.Fail({static_cast<Call>(call), "", /*skip=*/0, /*times=*/2}, EINTR);
  }
  const auto file = Create("file", "content");
  ASSERT_OK(file->Allocate(8192));
  char byte;
  EXPECT_OK(file->ReadAt(0, &byte, 1));
  EXPECT_OK(file->SyncData());
  EXPECT_OK(file->Sync());
  EXPECT_OK(file->Stat());
  EXPECT_OK(file->SetMode(0640));
  EXPECT_OK(file->Map(4096));
  EXPECT_OK(StatPath(&calls_, Path("file")));
  EXPECT_OK(SetMode(&calls_, Path("file"), 0600));
  EXPECT_OK(SetGroup(&calls_, Path("file"), getegid()));
  EXPECT_OK(Link(&calls_, Path("file"), Path("second")));
  EXPECT_OK(Rename(&calls_, Path("second"), Path("third")));
  EXPECT_OK(RemoveFile(&calls_, Path("third")));
  EXPECT_OK(MakeDirectory(&calls_, Path("directory"), 0700));
  EXPECT_OK(RemoveDirectory(&calls_, Path("directory")));
  EXPECT_OK(ListDirectory(&calls_, scratch_.path()));
  EXPECT_OK(MakeDirectory(&calls_, Path("tree"), 0700));
  EXPECT_OK(MakeDirectory(&calls_, Path("tree/inner"), 0700));
  EXPECT_OK(RemoveTree(&calls_, Path("tree")));
  for (int call = 0; call <= static_cast<int>(Call::kListAt); ++call) {
    if (static_cast<Call>(call) == Call::kStatfs) continue;  // file_system_type_test.cc
    EXPECT_GT(calls_.Count(static_cast<Call>(call)), 0) << "call " << call << " was not tried";
  }
}

TEST_F(FileTest, AnErrorAfterAPartWasReadIsNotTheEndOfTheFile) {
  const auto file = Create("file", "0123456789");
  calls_.Shorten({Call::kPread}, 4);
  calls_.Fail({Call::kPread, "", /*skip=*/1}, EIO);
  char buffer[10];
  EXPECT_THAT(file->ReadAt(0, buffer, 10),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("read " + Path("file"))));
}

TEST_F(FileTest, AWriteThatFailsAfterAPartIsAnError) {
  const auto file = Create("file");
  calls_.LimitSpace(4);
  EXPECT_THAT(file->WriteAt(0, "0123456789"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("write " + Path("file"))));
  EXPECT_EQ(Content("file"), "0123");
}

TEST_F(FileTest, AWriteThatWritesNothingIsAnErrorNotALoop) {
  const auto file = Create("file");
  calls_.Shorten({Call::kPwrite}, 0);
  EXPECT_THAT(file->WriteAt(0, "x"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("nothing was written")));
}

TEST_F(FileTest, ADirectReadStopsAtAnEndWithinABlock) {
  const auto file = Create("file", std::string(5000, 'x'));
  OpenOptions direct;
  direct.direct = true;
  const auto opened = OpenFile(&calls_, Path("file"), direct);
  if (ErrnoOf(opened.status()) == EINVAL) GTEST_SKIP() << "no O_DIRECT here: " << opened.status();
  ASSERT_OK(opened);
  void* memory = nullptr;
  ASSERT_EQ(posix_memalign(&memory, 4096, 16384), 0);
  const auto got = (*opened)->ReadAt(0, static_cast<char*>(memory), 16384);
  free(memory);
  ASSERT_OK(got);
  EXPECT_EQ(*got, 5000);
}

TEST_F(FileTest, ADirectReadTakesARefusalBehindAPartialBlockForTheEnd) {
  const auto partial = Create("partial", std::string(5000, 'x'));
  const auto whole = Create("whole", std::string(4096, 'x'));
  calls_.Fail({Call::kPread, "partial", /*skip=*/1}, EINVAL);
  calls_.Fail({Call::kPread, "whole", /*skip=*/1}, EINVAL);
  std::string buffer(16384, '\0');
  ASSERT_OK_AND_ASSIGN(const size_t got, partial->ReadAt(0, buffer.data(), buffer.size()));
  EXPECT_EQ(got, 5000);
  EXPECT_THAT(whole->ReadAt(0, buffer.data(), buffer.size()),
              HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(FileTest, CreatingRefusesWhatExists) {
  Create("file", "content");
  OpenOptions options;
  options.access = OpenOptions::Access::kWrite;
  options.create = true;
  EXPECT_THAT(OpenFile(&calls_, Path("file"), options),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("create " + Path("file"))));
  ASSERT_EQ(symlink("nowhere", Path("dangling").c_str()), 0);
  EXPECT_THAT(OpenFile(&calls_, Path("dangling"), options),
              HasCode(absl::StatusCode::kAlreadyExists));
  EXPECT_NE(access(Path("nowhere").c_str(), F_OK), 0);
}

TEST_F(FileTest, ACreatedFileHasItsModeWhateverTheUmaskIs) {
  const mode_t before = umask(077);
  const absl::Status shared = WriteNewFile(&calls_, Path("shared"), "x", 0640, false);
  const absl::Status own = WriteNewFile(&calls_, Path("own"), "x", 0600, false);
  umask(before);
  ASSERT_OK(shared);
  ASSERT_OK(own);
  EXPECT_EQ(StatPath(&calls_, Path("shared"))->mode, 0640);
  EXPECT_EQ(StatPath(&calls_, Path("own"))->mode, 0600);
  EXPECT_EQ(calls_.Count(Call::kFchmod, "own"), 0) << "one operation less on a network";
}

TEST_F(FileTest, SymbolicLinksAreNotFollowed) {
  Create("target", "secret");
  ASSERT_EQ(symlink(Path("target").c_str(), Path("link").c_str()), 0);
  for (const auto access : {OpenOptions::Access::kRead, OpenOptions::Access::kWrite}) {
    OpenOptions options;
    options.access = access;
    EXPECT_THAT(OpenFile(&calls_, Path("link"), options),
                HasCode(absl::StatusCode::kFailedPrecondition));
  }
  EXPECT_THAT(ReadWholeFile(&calls_, Path("link"), 100),
              HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK_AND_ASSIGN(const FileInfo info, StatPath(&calls_, Path("link")));
  EXPECT_EQ(info.type, FileInfo::Type::kOther);
  ASSERT_EQ(symlink(scratch_.path().c_str(), Path("up").c_str()), 0);
  EXPECT_THAT(ListDirectory(&calls_, Path("up")), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(FileTest, AFifoNeitherBlocksNorPassesForAFile) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  alarm(30);  // kills the test where an open would hang
  auto reading = OpenFile(&calls_, Path("fifo"), OpenOptions{});
  OpenOptions writing_options;
  writing_options.access = OpenOptions::Access::kWrite;
  if (reading.ok()) {
    ASSERT_OK_AND_ASSIGN(const FileInfo info, (*reading)->Stat());
    EXPECT_EQ(info.type, FileInfo::Type::kOther);
    reading->reset();
  }
  EXPECT_THAT(OpenFile(&calls_, Path("fifo"), writing_options),
              HasCode(absl::StatusCode::kFailedPrecondition))
      << "nobody reads it";
  EXPECT_THAT(ReadWholeFile(&calls_, Path("fifo"), 100),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a regular file")));
  alarm(0);
}

TEST_F(FileTest, ASocketIsThereAndNoFile) {
  // The address of a socket is short: make it by a relative name.
  ASSERT_EQ(chdir(scratch_.path().c_str()), 0);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{AF_UNIX, "socket"};
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(fd);
  EXPECT_THAT(ReadWholeFile(&calls_, Path("socket"), 100),
              HasCode(absl::StatusCode::kFailedPrecondition))
      << "'not found' would say that it is gone";
}

TEST_F(FileTest, DescriptorsAreClosedOnExec) {
  const int next = dup(0);
  close(next);
  const auto file = Create("file");
  EXPECT_EQ(fcntl(next, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(FileTest, CloseReportsAndClosesOnce) {
  const auto file = Create("file");
  calls_.Fail({Call::kClose, "", 0, 1}, EIO);
  EXPECT_THAT(file->Close(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("close " + Path("file"))));
  EXPECT_OK(file->Close());
  EXPECT_EQ(calls_.Count(Call::kClose), 1);
}

TEST_F(FileTest, AllocateGivesSizeAndZeros) {
  const auto file = Create("file", "x");
  ASSERT_OK(file->Allocate(8192));
  EXPECT_EQ(Content("file"), "x" + std::string(8191, '\0'));
}

TEST_F(FileTest, MappingsShareTheFile) {
  const auto file = Create("file", std::string(4096, 'a'));
  ASSERT_OK_AND_ASSIGN(const auto mapping, file->Map(4096));
  ASSERT_EQ(mapping->size(), 4096);
  static_cast<char*>(mapping->address())[1] = 'b';
  EXPECT_EQ(Content("file").substr(0, 3), "aba");
}

TEST_F(FileTest, ReadWholeFileTakesUpToItsLimit) {
  Create("file", "0123456789");
  Create("empty");
  EXPECT_EQ(*ReadWholeFile(&calls_, Path("file"), 10), "0123456789");
  EXPECT_EQ(*ReadWholeFile(&calls_, Path("empty"), 0), "");
  EXPECT_THAT(ReadWholeFile(&calls_, Path("file"), 9),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("read " + Path("file"))));
  EXPECT_THAT(ReadWholeFile(&calls_, Path("none"), 9), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadWholeFile(&calls_, scratch_.path(), 1 << 20),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a regular file")));
}

TEST_F(FileTest, ReadWholeFileSurvivesAFileThatChangesUnderIt) {
  Create("shrinks", "0123456789");
  calls_.Run({Call::kPread, "shrinks"},
             [&] { ASSERT_EQ(truncate(Path("shrinks").c_str(), 4), 0); });
  EXPECT_EQ(*ReadWholeFile(&calls_, Path("shrinks"), 10), "0123");
  Create("grows", "0123");
  calls_.Run({Call::kPread, "grows"},
             [&] { ASSERT_EQ(truncate(Path("grows").c_str(), 1 << 20), 0); });
  EXPECT_EQ(*ReadWholeFile(&calls_, Path("grows"), 10), "0123");
}

TEST_F(FileTest, WriteNewFileFlushesOnlyIfAsked) {
  ASSERT_OK(WriteNewFile(&calls_, Path("one"), "1", 0600, true));
  EXPECT_EQ(calls_.Count(Call::kFsync, "one"), 1);
  ASSERT_OK(WriteNewFile(&calls_, Path("two"), "2", 0600, false));
  EXPECT_EQ(calls_.Count(Call::kFsync, "two"), 0);
  EXPECT_EQ(Content("two"), "2");
}

TEST_F(FileTest, NamesAreListedWithoutDots) {
  Create("one");
  Create(".hidden");
  ASSERT_OK(MakeDirectory(&calls_, Path("directory"), 0700));
  ASSERT_OK_AND_ASSIGN(const auto names, ListDirectory(&calls_, scratch_.path()));
  EXPECT_THAT(names, UnorderedElementsAre("one", ".hidden", "directory"));
}

TEST_F(FileTest, DirectoryWithAStaleHandleIsListedAgain) {
  ASSERT_OK(MakeDirectory(&calls_, Path("directory"), 0700));
  Create("directory/file");
  calls_.Fail({Call::kList, "/directory", 0, 2}, ESTALE);
  ASSERT_OK_AND_ASSIGN(const auto names, ListDirectory(&calls_, Path("directory")));
  EXPECT_THAT(names, UnorderedElementsAre("file"));
  calls_.Fail({Call::kList, "/directory"}, ESTALE);
  EXPECT_TRUE(IsStale(ListDirectory(&calls_, Path("directory")).status()));
}

TEST_F(FileTest, FileInfoTellsWhatTheKernelSays) {
  const auto file = Create("file", "12345");
  ASSERT_OK(file->SetMode(0640));
  ASSERT_OK(Link(&calls_, Path("file"), Path("second")));
  ASSERT_OK_AND_ASSIGN(const FileInfo info, file->Stat());
  ASSERT_OK_AND_ASSIGN(const FileInfo named, StatPath(&calls_, Path("second")));
  EXPECT_EQ(info.type, FileInfo::Type::kFile);
  EXPECT_EQ(info.size, 5);
  EXPECT_EQ(info.mode, 0640);
  EXPECT_EQ(info.links, 2);
  EXPECT_EQ(info.uid, geteuid());
  EXPECT_EQ(info.inode, named.inode);
  EXPECT_EQ(info.device, named.device);
  EXPECT_EQ(StatPath(&calls_, scratch_.path())->type, FileInfo::Type::kDirectory);
}

TEST_F(FileTest, SyncDirectoryToleratesFileSystemsWithoutIt) {
  EXPECT_OK(SyncDirectory(&calls_, scratch_.path()));
  for (const int error : {EINVAL, ENOSYS, EOPNOTSUPP}) {
    calls_.Clear();
    calls_.Fail({Call::kFsync}, error);
    EXPECT_OK(SyncDirectory(&calls_, scratch_.path()));
  }
  calls_.Clear();
  calls_.Fail({Call::kFsync}, EIO);
  EXPECT_THAT(SyncDirectory(&calls_, scratch_.path()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("flush " + scratch_.path())));
}

}  // namespace
}  // namespace spoolrpc::os
