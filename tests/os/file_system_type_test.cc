#include "spoolrpc/os/file_system_type.h"

#include <errno.h>
#include <sys/statfs.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::os {
namespace {

using ::spoolrpc::testing::Call;
using ::spoolrpc::testing::FaultySystemCalls;
using ::spoolrpc::testing::HasCode;
using ::spoolrpc::testing::MemoryFileSystem;
using ::spoolrpc::testing::ScratchDirectory;
using ::spoolrpc::testing::StatusIs;
using ::testing::HasSubstr;

int64_t Magic(const std::string& path) {
  struct statfs s;
  return statfs(path.c_str(), &s) == 0 ? static_cast<uint32_t>(s.f_type) : 0;
}

TEST(DescribeFileSystem, TmpfsIsLocal) {
  if (Magic("/dev/shm") != 0x01021994) GTEST_SKIP() << "/dev/shm is no tmpfs here";
  ASSERT_OK_AND_ASSIGN(const FileSystemType type,
                       DescribeFileSystem(SystemCalls::Real(), "/dev/shm"));
  EXPECT_EQ(type.name, "tmpfs");
  EXPECT_TRUE(type.local);
}

TEST(DescribeFileSystem, Ext4IsLocal) {
  const ScratchDirectory scratch;
  if (Magic(scratch.path()) != 0xEF53) GTEST_SKIP() << scratch.path() << " is not on ext4 here";
  ASSERT_OK_AND_ASSIGN(const FileSystemType type,
                       DescribeFileSystem(SystemCalls::Real(), scratch.path()));
  EXPECT_EQ(type.name, "ext4");
  EXPECT_TRUE(type.local);
}

TEST(DescribeFileSystem, WhatIsNotKnownCountsAsANetworkAndIsNamedByItsNumber) {
  ASSERT_OK_AND_ASSIGN(const FileSystemType type,
                       DescribeFileSystem(SystemCalls::Real(), "/proc/self"));
  EXPECT_EQ(type.name, "0x9fa0");
  EXPECT_FALSE(type.local);
  EXPECT_EQ(type.max_write, 65536) << "its blocks of 4096 bytes say nothing of writes";
}

TEST(DescribeFileSystem, NfsIsANetworkWhoseWritesAreBounded) {
  MemoryFileSystem system;
  const auto client = system.NewClient({/*network=*/true});
  ASSERT_OK_AND_ASSIGN(const FileSystemType type, DescribeFileSystem(client.get(), "/"));
  EXPECT_EQ(type.name, "nfs");
  EXPECT_FALSE(type.local);
  EXPECT_EQ(type.max_write, 65536) << "it says that it takes 1 MiB";
  testing::MemoryClientOptions small;
  small.network = true;
  small.block_size = 32768;
  ASSERT_OK_AND_ASSIGN(const FileSystemType other,
                       DescribeFileSystem(system.NewClient(small).get(), "/"));
  EXPECT_EQ(other.max_write, 32768);
}

TEST(DescribeFileSystem, ErrorsNameThePath) {
  EXPECT_THAT(DescribeFileSystem(SystemCalls::Real(), "/no/such/path"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("statfs /no/such/path")));
  FaultySystemCalls calls;
  calls.Fail({Call::kStatfs, "", 0, 2}, EINTR);
  EXPECT_TRUE(DescribeFileSystem(&calls, "/").ok()) << "interrupted calls are repeated";
  calls.Fail({Call::kStatfs}, EIO);
  EXPECT_THAT(DescribeFileSystem(&calls, "/"), HasCode(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace spoolrpc::os
