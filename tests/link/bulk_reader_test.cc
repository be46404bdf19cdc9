// What a reader of bulk buffers believes, and what not.
#include "spoolrpc/link/bulk_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/link/bulk_pool.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::link {
namespace {

using testing::Call;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr size_t kSize = 200 * 1024;  // three whole pieces and a bit

// The parameter: whether the reader maps (files of the same user), or copies.
class BulkReaderTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!maps() && geteuid() != 0) GTEST_SKIP() << "needs root: gives files to another user";
    BulkPoolOptions out;
    out.env.calls = os::SystemCalls::Real();
    out.env.clock = &clock_;
    out.directory = scratch_.path();
    out.session_id = id_;
    out.limit = 64 << 20;
    pool_ = std::make_shared<BulkPool>(out);
    reader_ = Reader(id_, log::Direction::kRequests);
    reference_ = Lend(Pattern());
  }
  bool maps() const { return GetParam(); }
  uint32_t owner() const { return maps() ? geteuid() : 65001; }

  std::shared_ptr<BulkReader> Reader(const std::string& id, log::Direction direction) {
    BulkReaderOptions in;
    in.env.calls = &calls_;
    in.env.clock = &clock_;
    in.directory = scratch_.path();
    in.session_id = id;
    in.direction = direction;
    in.owner = owner();
    in.keep_bytes = 1 << 20;
    in.keep = 10;
    return std::make_shared<BulkReader>(in);
  }
  static std::string Pattern(char seed = 1) {
    std::string bytes(kSize, '\0');
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(seed + i * 7 + i / 256);
    return bytes;
  }
  std::string Path(uint32_t number) const { return scratch_ / absl::StrCat("bulk.", number); }
  void Give(const std::string& path) const { ASSERT_EQ(lchown(path.c_str(), owner(), owner()), 0); }
  BulkReference Lend(const std::string& bytes) {
    auto loan = pool_->LendBytes(bytes);
    loan->SetWritten();
    Give(Path(loan->reference().buffer));
    return loan->reference();
  }
  std::shared_ptr<IncomingBulk> Take(const BulkReference& reference) {
    return Take(reader_, reference);
  }
  std::shared_ptr<IncomingBulk> Take(const std::shared_ptr<BulkReader>& reader,
                                     const BulkReference& reference) {
    return reader->Take(reference, [this](const BulkRelease& release) {
      released_.push_back(absl::StrCat(release.buffer, "/", release.generation));
    });
  }
  absl::Status Read(const BulkReference& reference) { return Take(reference)->Read(); }
  void ExpectDamage(absl::string_view why) {
    EXPECT_THAT(Read(reference_),
                StatusIs(absl::StatusCode::kDataLoss,
                         ::testing::AllOf(HasSubstr("bulk.1"), HasSubstr(std::string(why)))));
  }

  const std::string id_ = std::string(16, '\x07');
  const testing::ScratchDirectory scratch_;
  testing::FaultySystemCalls calls_;
  testing::FakeClock clock_;
  std::vector<std::string> released_;
  std::shared_ptr<BulkPool> pool_;
  std::shared_ptr<BulkReader> reader_;
  BulkReference reference_;
};
INSTANTIATE_TEST_SUITE_P(Ways, BulkReaderTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Maps" : "Copies"; });

TEST_P(BulkReaderTest, GivesTheBytesAndReleasesThemOnce) {
  auto bulk = Take(reference_);
  EXPECT_EQ(bulk->size(), kSize);
  ASSERT_OK(bulk->Read());
  EXPECT_TRUE(bulk->bytes() == Pattern());
  EXPECT_TRUE(released_.empty());
  bulk.reset();
  EXPECT_THAT(released_, ::testing::ElementsAre("1/1"));
  // Also what was never looked at.
  Take(reference_).reset();
  EXPECT_EQ(released_.size(), 2);
}

TEST_P(BulkReaderTest, KeepsMappingsForTheNextMessage) {
  ASSERT_OK(Read(reference_));
  pool_->OnReleased({1, 1});
  const BulkReference next = Lend(Pattern(9));
  EXPECT_EQ(next.buffer, 1);
  ASSERT_OK(Read(next));
  EXPECT_EQ(calls_.Count(Call::kMap), maps() ? 1 : 0);
  EXPECT_EQ(reader_->mapped() > 0, maps());
  reader_->Housekeep(clock_.Now() + 11);
  EXPECT_EQ(reader_->mapped(), 0);
}

TEST_P(BulkReaderTest, KeepsNoMoreThanItMay) {
  std::vector<std::shared_ptr<IncomingBulk>> used;
  for (int i = 0; i < 8; ++i) {
    used.push_back(Take(Lend(Pattern(static_cast<char>(i)))));
    ASSERT_OK(used.back()->Read());
  }
  EXPECT_EQ(reader_->mapped() > 1 << 20, maps());  // in use
  used.clear();
  EXPECT_LE(reader_->mapped(), 1 << 20);
}

TEST_P(BulkReaderTest, FindsEveryKindOfChangedBytes) {
  const int file = open(Path(1).c_str(), O_RDWR | O_CLOEXEC);
  for (const size_t at : {size_t{0}, size_t{65535}, size_t{65536}, kSize - 1}) {
    char byte;
    ASSERT_EQ(pread(file, &byte, 1, at), 1);
    const char flipped = static_cast<char>(byte ^ 0x10);
    ASSERT_EQ(pwrite(file, &flipped, 1, at), 1);
    ExpectDamage("checksum");
    ASSERT_EQ(pwrite(file, &byte, 1, at), 1);
  }
  ASSERT_OK(Read(reference_));
  close(file);
}

TEST_P(BulkReaderTest, AnotherReferenceToTheSameBytesIsDamage) {
  const BulkReference right = reference_;
  const auto expect_damage = [&](const auto& change) {
    reference_ = right;
    change(&reference_);
    ExpectDamage("checksum");
  };
  expect_damage([](BulkReference* r) { ++r->generation; });
  expect_damage([](BulkReference* r) { ++r->offset, --r->length; });
  expect_damage([](BulkReference* r) { --r->length; });
  expect_damage([](BulkReference* r) { r->checksum ^= 1; });
  reference_ = right;
  // Of another session, and of the other direction.
  EXPECT_FALSE(
      Take(Reader(std::string(16, '\x08'), log::Direction::kRequests), right)->Read().ok());
  EXPECT_FALSE(Take(Reader(id_, log::Direction::kResponses), right)->Read().ok());
  EXPECT_OK(Take(Reader(id_, log::Direction::kRequests), right)->Read());
}

TEST_P(BulkReaderTest, AFileThatIsMissingOrNoneIsDamage) {
  const std::string path = Path(1);
  ASSERT_EQ(rename(path.c_str(), (scratch_ / "kept").c_str()), 0);
  ExpectDamage("No such file");
  ASSERT_EQ(symlink((scratch_ / "kept").c_str(), path.c_str()), 0);
  ExpectDamage("");
  ASSERT_EQ(unlink(path.c_str()), 0);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  Give(path);
  ExpectDamage("not a regular file");
  ASSERT_EQ(unlink(path.c_str()), 0);
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  Give(path);
  ExpectDamage("");
  ASSERT_EQ(rmdir(path.c_str()), 0);
  ASSERT_EQ(::link((scratch_ / "kept").c_str(), path.c_str()), 0);
  ExpectDamage("2 links");
  ASSERT_EQ(unlink((scratch_ / "kept").c_str()), 0);
  EXPECT_OK(Read(reference_));
}

TEST_P(BulkReaderTest, AnotherUsersFileIsDamage) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: gives files to another user";
  ASSERT_EQ(lchown(Path(1).c_str(), 65002, 65002), 0);
  ExpectDamage("belongs to uid 65002");
}

TEST_P(BulkReaderTest, AShortFileIsDamage) {
  ASSERT_EQ(truncate(Path(1).c_str(), kSize - 1), 0);
  ExpectDamage("bytes");
}

TEST_P(BulkReaderTest, AFileThatShrinksWhileItIsMappedIsDamage) {
  if (!maps()) GTEST_SKIP() << "nothing is mapped";
  auto bulk = Take(reference_);
  ASSERT_OK(bulk->Read());
  ASSERT_EQ(truncate(Path(1).c_str(), 0), 0);
  // Whoever reads on reads zeros, and learns it.
  EXPECT_EQ(bulk->bytes()[kSize / 2], '\0');
  EXPECT_THAT(bulk->CheckIntact(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("truncated")));
  ExpectDamage("truncated");
}

TEST_P(BulkReaderTest, WantOfDescriptorsIsNoDamage) {
  calls_.Fail({Call::kOpen, "bulk."}, EMFILE);
  EXPECT_THAT(Read(reference_),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("bulk.1")));
}

TEST_P(BulkReaderTest, WhatCannotBeMappedIsCopied) {
  calls_.Fail({Call::kMap, "bulk."}, ENOMEM);
  auto bulk = Take(reference_);
  ASSERT_OK(bulk->Read());
  EXPECT_TRUE(bulk->bytes() == Pattern());
  EXPECT_EQ(reader_->mapped(), 0);
}

}  // namespace
}  // namespace spoolrpc::link
