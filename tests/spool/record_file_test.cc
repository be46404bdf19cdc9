// Records: every damaged byte is found, and another version is told from damage.
#include "spoolrpc/spool/record_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

SpoolRecord Record() {
  SpoolRecord record;
  record.set_format_version(1);
  record.set_spool_id("0123456789abcdef");
  record.set_created_by("a test");
  return record;
}

TEST(RecordFileTest, RoundTrip) {
  SpoolRecord back;
  ASSERT_OK(DecodeRecord(EncodeRecord(RecordKind::kSpool, Record()), RecordKind::kSpool, &back));
  EXPECT_EQ(back.SerializeAsString(), Record().SerializeAsString());
}

TEST(RecordFileTest, EveryFlippedBitIsFound) {
  const std::string good = EncodeRecord(RecordKind::kSpool, Record());
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      SpoolRecord record;
      EXPECT_FALSE(DecodeRecord(bad, RecordKind::kSpool, &record).ok()) << i << "." << bit;
    }
  }
}

TEST(RecordFileTest, EveryTruncationAndExtensionIsFound) {
  const std::string good = EncodeRecord(RecordKind::kSpool, Record());
  SpoolRecord record;
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(DecodeRecord(good.substr(0, size), RecordKind::kSpool, &record),
                HasCode(absl::StatusCode::kDataLoss))
        << size;
  }
  EXPECT_THAT(DecodeRecord(good + std::string(1, '\0'), RecordKind::kSpool, &record),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST(RecordFileTest, AnotherVersionIsNoDamage) {
  std::string newer = EncodeRecord(RecordKind::kSpool, Record());
  newer[8] = 2;
  SpoolRecord record;
  EXPECT_THAT(DecodeRecord(newer, RecordKind::kSpool, &record),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("version 2")));
}

TEST(RecordFileTest, AnotherKindIsRefusedThoughItsBytesParse) {
  VerdictRecord verdict;
  EXPECT_THAT(
      DecodeRecord(EncodeRecord(RecordKind::kSpool, Record()), RecordKind::kVerdict, &verdict),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("kind")));
}

TEST(RecordFileTest, NamesOfServicesAndMethodsAreThereOnce) {
  ServerRecord record;
  for (const char* service : {"a.One", "a.Two"}) {
    ServiceRecord* const entry = record.add_services();
    entry->set_name(service);
    for (const char* method : {"Get", "Set", ""}) entry->add_methods()->set_name(method);
  }
  const auto decode = [](const ServerRecord& from) {
    ServerRecord to;
    return DecodeRecord(EncodeRecord(RecordKind::kServer, from), RecordKind::kServer, &to);
  };
  EXPECT_OK(decode(record));
  ServerRecord twice = record;
  twice.add_services()->set_name("a.One");
  EXPECT_THAT(decode(twice),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("the service a.One twice")));
  twice = record;
  twice.mutable_services(1)->add_methods()->set_name("Set");
  EXPECT_THAT(decode(twice),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("the method a.Two/Set twice")));
  // A message about it is no longer for that.
  twice.mutable_services(1)->set_name(std::string(100000, 'x'));
  EXPECT_LT(decode(twice).message().size(), 1000);
}

TEST(RecordFileTest, FilesAreNamedAndMustBeFiles) {
  const testing::ScratchDirectory scratch;
  os::SystemCalls* const calls = os::SystemCalls::Real();
  SpoolRecord record;
  const std::string path = scratch / "record";
  EXPECT_THAT(ReadRecord(calls, path, RecordKind::kSpool, &record),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
  ASSERT_OK(os::WriteNewFile(calls, path, EncodeRecord(RecordKind::kSpool, Record()), 0600, false));
  EXPECT_OK(ReadRecord(calls, path, RecordKind::kSpool, &record));
  ASSERT_OK(os::WriteNewFile(calls, scratch / "bad", "rubbish", 0600, false));
  EXPECT_THAT(ReadRecord(calls, scratch / "bad", RecordKind::kSpool, &record),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(scratch / "bad")));
  ASSERT_EQ(symlink(path.c_str(), (scratch / "link").c_str()), 0);
  EXPECT_FALSE(ReadRecord(calls, scratch / "link", RecordKind::kSpool, &record).ok());
  ASSERT_EQ(mkfifo((scratch / "fifo").c_str(), 0600), 0);
  EXPECT_FALSE(ReadRecord(calls, scratch / "fifo", RecordKind::kSpool, &record).ok());
  EXPECT_FALSE(ReadRecord(calls, scratch.path(), RecordKind::kSpool, &record).ok());
  ASSERT_OK(os::WriteNewFile(calls, scratch / "huge", std::string(kMaxRecordSize + 100, 'x'), 0600,
                             false));
  EXPECT_FALSE(ReadRecord(calls, scratch / "huge", RecordKind::kSpool, &record).ok());
}

}  // namespace
}  // namespace spoolrpc::spool
