#include "spoolrpc/log/log_bytes.h"

#include <errno.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::log {
namespace {

using testing::Call;

constexpr size_t kSize = size_t{64} << 10;
// More than it takes until a file is mapped.
constexpr int kMany = 100;

class LogBytesTest : public ::testing::Test {
 protected:
  LogBytesTest() {
    os::OpenOptions options;
    options.create = true;
    options.access = os::OpenOptions::Access::kReadWrite;
    auto file = os::OpenFile(&calls_, path_, options);
    EXPECT_OK(file);
    EXPECT_OK((*file)->WriteAt(0, std::string(kSize, '\0')));
    writer_ = std::make_unique<LogBytes>(*std::move(file), kSize, LogBytes::Use::kWriting);
    auto read = os::OpenFile(&calls_, path_, os::OpenOptions());
    EXPECT_OK(read);
    reader_ = std::make_unique<LogBytes>(*std::move(read), kSize, LogBytes::Use::kReading);
  }

  // Writes and reads a different word each time, at different places.
  void Exchange(int times) {
    for (int i = 0; i < times; ++i) {
      const std::string word = absl::StrCat("word ", ++words_);
      const uint64_t offset = words_ * 4099 % (kSize - 100);
      ASSERT_OK(writer_->WriteAt(offset, word));
      std::string got(word.size(), '?');
      const auto count = reader_->ReadAt(offset, got.data(), got.size());
      ASSERT_OK(count);
      ASSERT_EQ(*count, got.size());
      ASSERT_EQ(got, word);
    }
  }
  void AllowBoth() {
    writer_->AllowMapping();
    reader_->AllowMapping();
  }
  int64_t calls() const { return calls_.Count(Call::kPread) + calls_.Count(Call::kPwrite); }

  const testing::ScratchDirectory scratch_;
  const std::string path_ = scratch_ / "bytes";
  testing::FaultySystemCalls calls_;
  std::unique_ptr<LogBytes> writer_;
  std::unique_ptr<LogBytes> reader_;
  uint64_t words_ = 0;
};

TEST_F(LogBytesTest, NothingIsMappedUnlessItMayBe) {
  Exchange(kMany);
  EXPECT_FALSE(writer_->mapped());
  EXPECT_FALSE(reader_->mapped());
  EXPECT_GE(calls(), 2 * kMany);
}

TEST_F(LogBytesTest, WhatIsUsedOftenIsMappedAndTakesNoSystemCalls) {
  AllowBoth();
  Exchange(10);
  EXPECT_FALSE(writer_->mapped());
  Exchange(kMany);
  EXPECT_TRUE(writer_->mapped());
  EXPECT_TRUE(reader_->mapped());
  const int64_t before = calls();
  Exchange(kMany);
  EXPECT_EQ(calls(), before);
}

TEST_F(LogBytesTest, OneSideMayGoWithout) {
  writer_->AllowMapping();
  Exchange(kMany);
  EXPECT_TRUE(writer_->mapped());
  EXPECT_FALSE(reader_->mapped());
  writer_ = nullptr;  // and what it wrote stays
  std::string got(6, '?');
  ASSERT_OK(reader_->ReadAt(words_ * 4099 % (kSize - 100), got.data(), got.size()));
  EXPECT_EQ(got, absl::StrCat("word ", words_).substr(0, 6));
}

TEST_F(LogBytesTest, WhatIsIdleIsUnmapped) {
  AllowBoth();
  Exchange(kMany);
  writer_->UnmapIfIdle();
  EXPECT_TRUE(writer_->mapped());
  Exchange(kMany);
  writer_->UnmapIfIdle();
  EXPECT_TRUE(writer_->mapped());
  Exchange(3);
  writer_->UnmapIfIdle();
  EXPECT_FALSE(writer_->mapped());
  Exchange(10);
  EXPECT_FALSE(writer_->mapped());
  Exchange(kMany);
  EXPECT_TRUE(writer_->mapped());
}

TEST_F(LogBytesTest, WhereMappingIsRefusedSystemCallsDo) {
  const auto refused = calls_.Fail({Call::kMap, path_}, ENODEV);
  AllowBoth();
  Exchange(3 * kMany);
  EXPECT_FALSE(writer_->mapped());
  EXPECT_FALSE(reader_->mapped());
  EXPECT_EQ(calls_.Met(refused), 2);  // nobody asks again
}

TEST_F(LogBytesTest, AFileThatIsTruncatedIsReadAndWrittenAsAnyFile) {
  AllowBoth();
  Exchange(kMany);
  ASSERT_EQ(truncate(path_.c_str(), 4096), 0);
  std::string got(100, '?');
  auto count = reader_->ReadAt(8192, got.data(), got.size());
  ASSERT_OK(count);
  EXPECT_EQ(*count, 0);
  EXPECT_FALSE(reader_->mapped());
  ASSERT_OK(writer_->WriteAt(8192, "behind the end"));
  EXPECT_FALSE(writer_->mapped());
  count = reader_->ReadAt(8192, got.data(), got.size());
  ASSERT_OK(count);
  EXPECT_EQ(got.substr(0, *count), "behind the end");
  Exchange(3 * kMany);
  EXPECT_FALSE(reader_->mapped());
}

TEST_F(LogBytesTest, BeyondTheSizeNothingIsMapped) {
  AllowBoth();
  Exchange(kMany);
  ASSERT_OK(writer_->WriteAt(kSize - 2, "abcd"));
  std::string got(4, '?');
  const auto count = reader_->ReadAt(kSize - 2, got.data(), got.size());
  ASSERT_OK(count);
  EXPECT_EQ(got.substr(0, *count), "abcd");
}

}  // namespace
}  // namespace spoolrpc::log
