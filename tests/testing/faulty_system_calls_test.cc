#include "tests/testing/faulty_system_calls.h"

#include <errno.h>
#include <fcntl.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::testing {
namespace {

class FaultySystemCallsTest : public ::testing::Test {
 protected:
  int Create(const std::string& path) { return calls_.Open(path.c_str(), O_RDWR | O_CREAT, 0600); }
  std::string Content(const std::string& path) {
    const int fd = os::SystemCalls::Real()->Open(path.c_str(), O_RDONLY, 0);
    char buffer[100];
    const ssize_t got = os::SystemCalls::Real()->Pread(fd, buffer, sizeof(buffer), 0);
    os::SystemCalls::Real()->Close(fd);
    return std::string(buffer, got);
  }

  ScratchDirectory scratch_;
  FaultySystemCalls calls_;
};

TEST_F(FaultySystemCallsTest, PassesEverythingOnWithoutFaults) {
  const std::string path = scratch_ / "file";
  const int fd = Create(path);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(calls_.Pwrite(fd, "hello", 5, 0), 5);
  char buffer[5];
  EXPECT_EQ(calls_.Pread(fd, buffer, 5, 0), 5);
  EXPECT_EQ(std::string(buffer, 5), "hello");
  EXPECT_EQ(calls_.Fdatasync(fd), 0);
  EXPECT_EQ(calls_.Close(fd), 0);
  std::vector<std::string> names;
  EXPECT_EQ(calls_.List(scratch_.path().c_str(), &names), 0);
  EXPECT_EQ(names, std::vector<std::string>{"file"});
}

TEST_F(FaultySystemCallsTest, FailsTheCallsThatItIsToldTo) {
  const int one = Create(scratch_ / "one");
  const int two = Create(scratch_ / "two");
  const auto fault = calls_.Fail({Call::kPwrite, "/two", /*skip=*/1, /*times=*/2}, EIO);
  EXPECT_EQ(calls_.Pwrite(two, "a", 1, 0), 1) << "skipped";
  EXPECT_EQ(calls_.Pwrite(two, "b", 1, 0), -EIO);
  EXPECT_EQ(calls_.Pwrite(one, "b", 1, 0), 1) << "another path";
  EXPECT_EQ(calls_.Fdatasync(two), 0) << "another call";
  EXPECT_EQ(calls_.Pwrite(two, "c", 1, 0), -EIO);
  EXPECT_EQ(calls_.Pwrite(two, "d", 1, 0), 1) << "it has met its two";
  EXPECT_EQ(calls_.Met(fault), 2);
  EXPECT_EQ(Content(scratch_ / "two"), "d") << "failed calls must not be made";
  calls_.Close(one);
  calls_.Close(two);
}

TEST_F(FaultySystemCallsTest, FaultsOfRenameAndLinkLookAtBothPaths) {
  calls_.Close(Create(scratch_ / "from"));
  const auto fault = calls_.Fail({Call::kRename, "from"}, EXDEV);
  EXPECT_EQ(calls_.Rename((scratch_ / "from").c_str(), (scratch_ / "to").c_str()), -EXDEV);
  calls_.Remove(fault);
  calls_.Fail({Call::kRename, "/to"}, EDQUOT);
  EXPECT_EQ(calls_.Rename((scratch_ / "from").c_str(), (scratch_ / "to").c_str()), -EDQUOT);
  calls_.Clear();
  EXPECT_EQ(calls_.Rename((scratch_ / "from").c_str(), (scratch_ / "to").c_str()), 0);
}

TEST_F(FaultySystemCallsTest, AFailedCloseClosesAllTheSame) {
  const int fd = Create(scratch_ / "file");
  calls_.Fail({Call::kClose}, EIO);
  EXPECT_EQ(calls_.Close(fd), -EIO);
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

TEST_F(FaultySystemCallsTest, ShortWritesLostWritesAndAFullDisk) {
  const std::string path = scratch_ / "file";
  const int fd = Create(path);
  const auto shorten = calls_.Shorten({Call::kPwrite}, 3);
  EXPECT_EQ(calls_.Pwrite(fd, "abcdef", 6, 0), 3);
  calls_.Remove(shorten);
  const auto lose = calls_.LoseWrites({Call::kPwrite});
  EXPECT_EQ(calls_.Pwrite(fd, "xyz", 3, 3), 3);
  calls_.Remove(lose);
  EXPECT_EQ(calls_.Pwrite(fd, "!", 1, 6), 1);
  EXPECT_EQ(Content(path), std::string("abc\0\0\0!", 7));

  calls_.LimitSpace(4);
  EXPECT_EQ(calls_.Pwrite(fd, "123", 3, 0), 3);
  EXPECT_EQ(calls_.Pwrite(fd, "456", 3, 3), 1) << "what still fits";
  EXPECT_EQ(calls_.Pwrite(fd, "56", 2, 4), -ENOSPC);
  calls_.Clear();
  EXPECT_EQ(calls_.Pwrite(fd, "56", 2, 4), 2);
  calls_.Close(fd);
}

TEST_F(FaultySystemCallsTest, BlocksUntilReleasedAndThenGoesOnOrFails) {
  const int fd = Create(scratch_ / "file");
  for (const int error : {0, ETIMEDOUT}) {
    const auto block = calls_.Block({Call::kFsync});
    std::atomic<bool> done{false};
    int result = 1;
    std::thread thread([&] {
      result = calls_.Fsync(fd);
      done = true;
    });
    ASSERT_TRUE(calls_.AwaitBlocked(block));
    EXPECT_FALSE(done);
    EXPECT_EQ(calls_.Pwrite(fd, "a", 1, 0), 1) << "other calls go on meanwhile";
    calls_.Release(block, error);
    thread.join();
    EXPECT_EQ(result, -error);
    EXPECT_EQ(calls_.Fsync(fd), 0) << "a released fault is over";
  }
  calls_.Close(fd);
}

TEST_F(FaultySystemCallsTest, AwaitBlockedGivesUpWhenNothingComes) {
  const auto block = calls_.Block({Call::kFsync});
  EXPECT_FALSE(calls_.AwaitBlocked(block, absl::Milliseconds(1)));
}

TEST_F(FaultySystemCallsTest, HooksRunBeforeTheCall) {
  const std::string path = scratch_ / "file";
  calls_.Close(Create(path));
  calls_.Run({Call::kOpen, "file"}, [&] { os::SystemCalls::Real()->Unlink(path.c_str()); });
  EXPECT_EQ(calls_.Open(path.c_str(), O_RDONLY, 0), -ENOENT);
}

TEST_F(FaultySystemCallsTest, CountsByCallAndPath) {
  const int fd = Create(scratch_ / "file");
  calls_.Pwrite(fd, "a", 1, 0);
  calls_.Pwrite(fd, "a", 1, 0);
  EXPECT_EQ(calls_.Count(Call::kPwrite), 2);
  EXPECT_EQ(calls_.Count(Call::kPwrite, "file"), 2);
  EXPECT_EQ(calls_.Count(Call::kPwrite, "other"), 0);
  EXPECT_EQ(calls_.Count(Call::kPread), 0);
  calls_.ResetCounts();
  EXPECT_EQ(calls_.Count(Call::kPwrite), 0);
  calls_.Close(fd);
}

}  // namespace
}  // namespace spoolrpc::testing
