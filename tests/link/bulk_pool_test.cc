// The sender's bulk buffers: what is made, used again, given up, and removed.
#include "spoolrpc/link/bulk_pool.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "spoolrpc/link/bulk_reader.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::link {
namespace {

using testing::Call;

constexpr size_t kKiB = 1024;

class BulkPoolTest : public ::testing::Test {
 protected:
  std::shared_ptr<BulkPool> Pool(uint64_t limit = 64 * kKiB * kKiB) {
    BulkPoolOptions options;
    options.env.calls = &calls_;
    options.env.clock = &clock_;
    options.directory = scratch_.path();
    options.session_id = std::string(16, '\x07');
    options.threshold = 64 * kKiB;
    options.limit = limit;
    options.keep = 10;
    return std::make_shared<BulkPool>(options);
  }
  size_t Files() const {
    const std::filesystem::directory_iterator all(scratch_.path());
    return std::distance(begin(all), end(all));
  }
  // Lends `bytes`, as if their frame had been written.
  static BulkReference Lend(BulkPool* pool, const std::string& bytes) {
    auto loan = pool->LendBytes(bytes);
    if (loan == nullptr) return {};
    loan->SetWritten();
    return loan->reference();
  }
  static BulkRelease ReleaseOf(const BulkReference& reference) {
    return {reference.buffer, reference.generation};
  }

  const testing::ScratchDirectory scratch_;
  testing::FaultySystemCalls calls_;
  testing::FakeClock clock_;
};

TEST_F(BulkPoolTest, ReleasedBuffersAreFilledAgain) {
  const auto pool = Pool();
  const BulkReference first = Lend(pool.get(), std::string(100 * kKiB, 'a'));
  EXPECT_EQ(first.buffer, 1);
  EXPECT_EQ(first.generation, 1);
  pool->OnReleased(ReleaseOf(first));
  const BulkReference second = Lend(pool.get(), std::string(90 * kKiB, 'b'));
  EXPECT_EQ(second.buffer, 1);
  EXPECT_EQ(second.generation, 2);
  EXPECT_NE(second.checksum, first.checksum);
  EXPECT_EQ(Files(), 1);
}

TEST_F(BulkPoolTest, LentBuffersAreLeftAlone) {
  const auto pool = Pool();
  const BulkReference first = Lend(pool.get(), std::string(100 * kKiB, 'a'));
  const BulkReference second = Lend(pool.get(), std::string(100 * kKiB, 'b'));
  EXPECT_NE(second.buffer, first.buffer);
  EXPECT_EQ(pool->count().lent, 2);
  // What is not lent, or was lent at another time, cannot be released.
  pool->OnReleased({first.buffer, first.generation + 1});
  pool->OnReleased({77, 1});
  EXPECT_EQ(pool->count().lent, 2);
  pool->OnReleased(ReleaseOf(first));
  pool->OnReleased(ReleaseOf(first));
  EXPECT_EQ(pool->count().lent, 1);
}

TEST_F(BulkPoolTest, WhatIsHeldHereIsNotFilledAgain) {
  const auto pool = Pool();
  auto block = pool->Take(100 * kKiB);
  ASSERT_NE(block, nullptr);
  auto loan = pool->Lend(*block, 100 * kKiB);
  loan->SetWritten();
  pool->OnReleased(ReleaseOf(loan->reference()));
  const uint32_t number = loan->reference().buffer;
  EXPECT_NE(Lend(pool.get(), std::string(100 * kKiB, 'b')).buffer, number);
  block.reset();
  EXPECT_EQ(Lend(pool.get(), std::string(100 * kKiB, 'c')).buffer, number);
}

TEST_F(BulkPoolTest, ALoanThatIsNeverWrittenComesBack) {
  const auto pool = Pool();
  pool->LendBytes(std::string(100 * kKiB, 'a')).reset();
  EXPECT_EQ(pool->count().lent, 0);
  EXPECT_EQ(Lend(pool.get(), std::string(100 * kKiB, 'b')).buffer, 1);
}

TEST_F(BulkPoolTest, OwnBlocksAreLentWhereTheyAre) {
  const auto pool = Pool();
  const auto block = pool->Take(100 * kKiB);
  memset(block->data(), 'x', 100 * kKiB);
  auto first = pool->LendBytes(absl::string_view(block->data(), 100 * kKiB));
  auto again = pool->LendBytes(absl::string_view(block->data(), 100 * kKiB));
  auto piece = pool->LendBytes(absl::string_view(block->data() + 8 * kKiB, 64 * kKiB));
  EXPECT_EQ(again->reference().checksum, first->reference().checksum);
  EXPECT_EQ(piece->reference().buffer, first->reference().buffer);
  EXPECT_EQ(piece->reference().offset, 8 * kKiB);
  EXPECT_EQ(Files(), 1);
}

TEST_F(BulkPoolTest, KeepsToItsLimit) {
  const auto pool = Pool(/*limit=*/300 * kKiB);
  const BulkReference first = Lend(pool.get(), std::string(128 * kKiB, 'a'));
  const BulkReference second = Lend(pool.get(), std::string(128 * kKiB, 'b'));
  EXPECT_EQ(Lend(pool.get(), std::string(128 * kKiB, 'c')).buffer, 0);
  EXPECT_EQ(Lend(pool.get(), std::string(400 * kKiB, 'd')).buffer, 0);
  pool->OnReleased(ReleaseOf(first));
  pool->OnReleased(ReleaseOf(second));
  // Two that nobody uses make room for one.
  EXPECT_EQ(Lend(pool.get(), std::string(256 * kKiB, 'e')).length, 256 * kKiB);
  EXPECT_LE(pool->count().bytes, 300 * kKiB);
  EXPECT_EQ(Files(), 1);
}

TEST_F(BulkPoolTest, SmallMessagesDoNotTakeLargeBuffersWhileThereIsRoom) {
  const auto pool = Pool(/*limit=*/1200 * kKiB);
  pool->OnReleased(ReleaseOf(Lend(pool.get(), std::string(1024 * kKiB, 'a'))));
  const BulkReference small = Lend(pool.get(), std::string(100 * kKiB, 'b'));
  EXPECT_EQ(small.buffer, 2);
  // (No room for a third.)
  EXPECT_EQ(Lend(pool.get(), std::string(100 * kKiB, 'c')).buffer, 1);
}

TEST_F(BulkPoolTest, WhatNobodyWantsIsRemoved) {
  const auto pool = Pool();
  const BulkReference lent = Lend(pool.get(), std::string(100 * kKiB, 'a'));
  pool->OnReleased(ReleaseOf(Lend(pool.get(), std::string(100 * kKiB, 'b'))));
  pool->Housekeep(clock_.Now() + 9);
  EXPECT_EQ(Files(), 2);
  pool->Housekeep(clock_.Now() + 10);
  EXPECT_EQ(Files(), 1);
  pool->OnReleased(ReleaseOf(lent));
  pool->Housekeep(clock_.Now() + 10);
  EXPECT_EQ(Files(), 0);
  EXPECT_EQ(pool->count().bytes, 0);
  // A number is not used again.
  EXPECT_EQ(Lend(pool.get(), std::string(100 * kKiB, 'c')).buffer, 3);
}

TEST_F(BulkPoolTest, WithoutRoomOnTheDiskThereIsNone) {
  const auto pool = Pool();
  for (const Call call : {Call::kOpen, Call::kFallocate, Call::kMap}) {
    const auto fault = calls_.Fail({call, "bulk."}, call == Call::kMap ? ENOMEM : ENOSPC);
    EXPECT_EQ(pool->Take(100 * kKiB), nullptr);
    EXPECT_GE(calls_.Met(fault), 1);
    calls_.Remove(fault);
    EXPECT_EQ(Files(), 0);
    EXPECT_EQ(pool->count().bytes, 0);
  }
  EXPECT_NE(pool->Take(100 * kKiB), nullptr);
}

TEST_F(BulkPoolTest, ATruncatedBufferIsNotLent) {
  const auto pool = Pool();
  const auto block = pool->Take(100 * kKiB);
  ASSERT_EQ(truncate((scratch_ / "bulk.1").c_str(), 0), 0);
  memset(block->data(), 'x', 100 * kKiB);
  EXPECT_EQ(pool->Lend(*block, 100 * kKiB), nullptr);
  EXPECT_EQ(Lend(pool.get(), std::string(100 * kKiB, 'b')).buffer, 2);
}

}  // namespace
}  // namespace spoolrpc::link
