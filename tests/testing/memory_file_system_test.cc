#include "tests/testing/memory_file_system.h"

#include <errno.h>
#include <fcntl.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/file.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::testing {
namespace {

using ::testing::UnorderedElementsAre;

os::OpenOptions Writing(bool create, bool data_sync = false) {
  os::OpenOptions options;
  options.access = os::OpenOptions::Access::kReadWrite;
  options.create = create;
  options.data_sync = data_sync;
  return options;
}

std::string ReadAll(const os::File& file) {
  std::string content(1000, '\0');
  const auto got = file.ReadAt(0, content.data(), content.size());
  if (!got.ok()) return std::string(got.status().message());
  content.resize(*got);
  return content;
}

TEST(MemoryFileSystem, NamesAndTrees) {
  MemoryFileSystem system;
  const auto client = system.NewClient();
  ASSERT_OK(os::MakeDirectory(client.get(), "/a", 0700));
  EXPECT_THAT(os::MakeDirectory(client.get(), "/a", 0700),
              HasCode(absl::StatusCode::kAlreadyExists));
  ASSERT_OK(os::WriteNewFile(client.get(), "/a/one", "1", 0600, true));
  EXPECT_THAT(os::WriteNewFile(client.get(), "/a/one", "1", 0600, true),
              HasCode(absl::StatusCode::kAlreadyExists));
  ASSERT_OK(os::Link(client.get(), "/a/one", "/a/two"));
  EXPECT_THAT(os::Link(client.get(), "/a/one", "/a/two"),
              HasCode(absl::StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(const os::FileInfo info, os::StatPath(client.get(), "/a/two"));
  EXPECT_EQ(info.links, 2);
  EXPECT_EQ(info.size, 1);
  ASSERT_OK(os::MakeDirectory(client.get(), "/b", 0700));
  ASSERT_OK(os::Rename(client.get(), "/b", "/a/b"));
  ASSERT_OK(os::Rename(client.get(), "/a/two", "/a/b/three"));
  ASSERT_OK_AND_ASSIGN(const auto names, os::ListDirectory(client.get(), "/a"));
  EXPECT_THAT(names, UnorderedElementsAre("one", "b"));
  EXPECT_THAT(os::RemoveDirectory(client.get(), "/a"),
              HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK_AND_ASSIGN(const std::string content,
                       os::ReadWholeFile(client.get(), "/a/b/three", 10));
  EXPECT_EQ(content, "1");
  ASSERT_OK(os::RemoveTree(client.get(), "/a"));
  EXPECT_THAT(os::StatPath(client.get(), "/a"), HasCode(absl::StatusCode::kNotFound));
}

TEST(MemoryFileSystem, LocalClientsSeeEachOthersBytesAtOnceAndCanMap) {
  MemoryFileSystem system;
  const auto writer = system.NewClient();
  const auto reader = system.NewClient();
  ASSERT_OK_AND_ASSIGN(auto out, os::OpenFile(writer.get(), "/file", Writing(true)));
  ASSERT_OK(out->Allocate(4096));
  ASSERT_OK_AND_ASSIGN(auto in, os::OpenFile(reader.get(), "/file", Writing(false)));
  ASSERT_OK_AND_ASSIGN(const auto mapping, in->Map(4096));
  ASSERT_OK(out->WriteAt(0, "hello"));
  EXPECT_EQ(ReadAll(*in).substr(0, 5), "hello");
  EXPECT_EQ(std::string(static_cast<char*>(mapping->address()), 5), "hello");
}

TEST(MemoryFileSystem, NetworkWritesAreSeenAfterAFlushAndAnOpening) {
  MemoryFileSystem system;
  const auto writer = system.NewClient({/*network=*/true});
  const auto reader = system.NewClient({/*network=*/true});
  ASSERT_OK_AND_ASSIGN(auto out, os::OpenFile(writer.get(), "/file", Writing(true)));
  ASSERT_OK_AND_ASSIGN(auto in, os::OpenFile(reader.get(), "/file", Writing(false)));
  ASSERT_OK(out->WriteAt(0, "hello"));
  EXPECT_EQ(ReadAll(*out), "hello") << "one's own writes are seen at once";
  EXPECT_EQ(ReadAll(*in), "");
  ASSERT_OK_AND_ASSIGN(in, os::OpenFile(reader.get(), "/file", Writing(false)));
  EXPECT_EQ(ReadAll(*in), "") << "not flushed";
  ASSERT_OK(out->SyncData());
  EXPECT_EQ(ReadAll(*in), "") << "not opened anew";
  ASSERT_OK_AND_ASSIGN(in, os::OpenFile(reader.get(), "/file", Writing(false)));
  EXPECT_EQ(ReadAll(*in), "hello");
  EXPECT_THAT(in->Map(4096), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST(MemoryFileSystem, NetworkFlushedWritesAndDirectReadsAreCurrent) {
  MemoryFileSystem system;
  const auto writer = system.NewClient({/*network=*/true});
  const auto reader = system.NewClient({/*network=*/true});
  ASSERT_OK_AND_ASSIGN(auto out, os::OpenFile(writer.get(), "/file", Writing(true)));
  ASSERT_OK_AND_ASSIGN(out, os::OpenFile(writer.get(), "/file", Writing(false, true)));
  os::OpenOptions direct;
  direct.direct = true;
  ASSERT_OK_AND_ASSIGN(auto in, os::OpenFile(reader.get(), "/file", direct));
  ASSERT_OK(out->WriteAt(0, "hello"));
  alignas(4096) static char buffer[4096];
  ASSERT_OK_AND_ASSIGN(const size_t got, in->ReadAt(0, buffer, sizeof(buffer)));
  EXPECT_EQ(std::string(buffer, got), "hello");
  EXPECT_EQ(in->ReadAt(1, buffer, 512).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(MemoryFileSystem, ACrashLosesWhatWasNotFlushed) {
  MemoryFileSystem system;
  const auto writer = system.NewClient({/*network=*/true});
  {
    ASSERT_OK_AND_ASSIGN(auto out, os::OpenFile(writer.get(), "/file", Writing(true)));
    ASSERT_OK(out->WriteAt(0, "one"));
    ASSERT_OK(out->SyncData());
    ASSERT_OK(out->WriteAt(3, "two"));
    writer->Crash();
    EXPECT_FALSE(out->WriteAt(6, "three").ok());
  }
  ASSERT_OK_AND_ASSIGN(const std::string content, os::ReadWholeFile(writer.get(), "/file", 10));
  EXPECT_EQ(content, "one");
}

TEST(MemoryFileSystem, NetworkNamesThatWereMissingStayMissingUntilTheDirectoryIsListed) {
  MemoryFileSystem system;
  const auto here = system.NewClient({/*network=*/true});
  const auto there = system.NewClient({/*network=*/true});
  EXPECT_FALSE(os::StatPath(here.get(), "/name").ok());
  ASSERT_OK(os::WriteNewFile(there.get(), "/name", "x", 0600, true));
  EXPECT_THAT(os::StatPath(here.get(), "/name"), HasCode(absl::StatusCode::kNotFound));
  EXPECT_OK(os::ListDirectory(here.get(), "/"));
  EXPECT_OK(os::StatPath(here.get(), "/name"));
}

TEST(MemoryFileSystem, NetworkFilesThatOthersRemovedAreStaleToReadersOnly) {
  MemoryFileSystem system;
  const auto here = system.NewClient({/*network=*/true});
  const auto there = system.NewClient({/*network=*/true});
  ASSERT_OK_AND_ASSIGN(auto file, os::OpenFile(here.get(), "/file", Writing(true)));
  ASSERT_OK(os::RemoveFile(there.get(), "/file"));
  char byte;
  EXPECT_EQ(here->Pread(1 << 24, &byte, 1, 0), -ESTALE);
  EXPECT_OK(file->WriteAt(0, "lost"));
  EXPECT_OK(file->SyncData());
}

TEST(MemoryFileSystem, FilesHaveTheTimeOfTheClockAndTheOwnerThatIsSet) {
  FakeClock clock;
  MemoryFileSystem system(&clock);
  const auto client = system.NewClient();
  ASSERT_OK(os::WriteNewFile(client.get(), "/old", "", 0600, false));
  clock.Advance(absl::Hours(1));
  ASSERT_OK(os::WriteNewFile(client.get(), "/new", "", 0600, false));
  system.SetOwner("/new", 7);
  ASSERT_OK_AND_ASSIGN(const auto old_info, os::StatPath(client.get(), "/old"));
  ASSERT_OK_AND_ASSIGN(const auto new_info, os::StatPath(client.get(), "/new"));
  EXPECT_EQ(new_info.modified_seconds - old_info.modified_seconds, 3600);
  EXPECT_EQ(old_info.uid, 1000);
  EXPECT_EQ(new_info.uid, 7);
}

}  // namespace
}  // namespace spoolrpc::testing
