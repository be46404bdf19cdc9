// Each call is counted once, under its own name, and passed on.
#include "spoolrpc/metrics/counting_system_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::metrics {
namespace {

using testing::Call;
using testing::FaultySystemCalls;

TEST(CountingSystemCallsTest, EachCallIsCountedOnceAndPassedOn) {
  const testing::ScratchDirectory scratch;
  FaultySystemCalls below;
  CountingSystemCalls calls(&below);
  const std::string file = scratch / "file";
  const std::string other = scratch / "other";
  const std::string directory = scratch / "directory";
  char byte = 'x';
  int fd = -1;
  int directory_fd = -1;
  void* address = nullptr;
  struct stat info;
  struct statfs system;
  std::vector<std::string> names;
  const auto ok = [](int result) { EXPECT_GE(result, 0); };

  // In an order in which each succeeds; `below` has an enumerator for each of the same calls.
  const std::vector<std::pair<std::pair<FileOperation, Call>, std::function<void()>>> steps = {
      {{FileOperation::kMkdir, Call::kMkdir}, [&] { ok(calls.Mkdir(directory.c_str(), 0700)); }},
      {{FileOperation::kChmod, Call::kChmod}, [&] { ok(calls.Chmod(directory.c_str(), 0755)); }},
      {{FileOperation::kLchown, Call::kLchown},
       [&] { ok(calls.Lchown(directory.c_str(), -1, getegid())); }},
      {{FileOperation::kOpen, Call::kOpen},
       [&] { ok(fd = calls.Open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)); }},
      {{FileOperation::kPwrite, Call::kPwrite}, [&] { EXPECT_EQ(calls.Pwrite(fd, "y", 1, 0), 1); }},
      {{FileOperation::kPread, Call::kPread}, [&] { EXPECT_EQ(calls.Pread(fd, &byte, 1, 0), 1); }},
      {{FileOperation::kFdatasync, Call::kFdatasync}, [&] { ok(calls.Fdatasync(fd)); }},
      {{FileOperation::kFsync, Call::kFsync}, [&] { ok(calls.Fsync(fd)); }},
      {{FileOperation::kFallocate, Call::kFallocate}, [&] { ok(calls.Fallocate(fd, 4096)); }},
      {{FileOperation::kFstat, Call::kFstat}, [&] { ok(calls.Fstat(fd, &info)); }},
      {{FileOperation::kFchmod, Call::kFchmod}, [&] { ok(calls.Fchmod(fd, 0640)); }},
      {{FileOperation::kMap, Call::kMap}, [&] { ok(calls.Map(fd, 4096, &address)); }},
      {{FileOperation::kUnmap, Call::kUnmap}, [&] { ok(calls.Unmap(address, 4096)); }},
      {{FileOperation::kClose, Call::kClose}, [&] { ok(calls.Close(fd)); }},
      {{FileOperation::kLstat, Call::kLstat}, [&] { ok(calls.Lstat(file.c_str(), &info)); }},
      {{FileOperation::kStatfs, Call::kStatfs}, [&] { ok(calls.Statfs(file.c_str(), &system)); }},
      {{FileOperation::kLink, Call::kLink},
       [&] { ok(calls.Link(file.c_str(), (directory + "/link").c_str())); }},
      {{FileOperation::kRename, Call::kRename},
       [&] { ok(calls.Rename(file.c_str(), other.c_str())); }},
      {{FileOperation::kList, Call::kList}, [&] { ok(calls.List(directory.c_str(), &names)); }},
      {{FileOperation::kUnlink, Call::kUnlink}, [&] { ok(calls.Unlink(other.c_str())); }},
      // The directory's descriptor is opened below, so that nothing is counted twice.
      {{FileOperation::kListAt, Call::kListAt},
       [&] {
         directory_fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
         ok(calls.ListAt(directory_fd, &names));
       }},
      {{FileOperation::kOpenAt, Call::kOpenAt},
       [&] {
         const int opened = calls.OpenAt(directory_fd, "link", O_RDONLY | O_CLOEXEC);
         ok(opened);
         close(opened);
       }},
      {{FileOperation::kUnlinkAt, Call::kUnlinkAt},
       [&] { ok(calls.UnlinkAt(directory_fd, "link", 0)); }},
      {{FileOperation::kRmdir, Call::kRmdir}, [&] { ok(calls.Rmdir(directory.c_str())); }},
  };
  ASSERT_EQ(steps.size(), kFileOperations);
  FileOperationCounts expected = {};
  for (const auto& [call, make] : steps) {
    const int64_t before = below.Count(call.second);
    make();
    ++expected[static_cast<int>(call.first)];
    EXPECT_EQ(calls.Counts(), expected) << FileOperationName(call.first);
    EXPECT_EQ(below.Count(call.second), before + 1) << FileOperationName(call.first);
  }
  close(directory_fd);
  EXPECT_EQ(byte, 'y');
  EXPECT_EQ(names, std::vector<std::string>({"link"}));
}

TEST(CountingSystemCallsTest, FailuresAreCountedAndReturned) {
  CountingSystemCalls calls;
  EXPECT_EQ(calls.Unlink("/nonexistent/name"), -ENOENT);
  EXPECT_EQ(calls.Counts()[static_cast<int>(FileOperation::kUnlink)], 1);
}

TEST(CountingSystemCallsTest, NamesAreDistinct) {
  std::set<absl::string_view> names;
  for (int i = 0; i < kFileOperations; ++i) {
    EXPECT_TRUE(names.insert(FileOperationName(static_cast<FileOperation>(i))).second);
  }
}

}  // namespace
}  // namespace spoolrpc::metrics
