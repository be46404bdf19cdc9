#include "spoolrpc/log/log_head.h"

#include <string.h>
#include <xxhash.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/log/log_test_util.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::log {
namespace {

using ::spoolrpc::testing::HasCode;
using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

// The head's bytes with those at `offset` replaced, under a checksum that agrees.
std::string Patched(size_t offset, absl::string_view bytes) {
  std::string head = EncodeHead(TestHead());
  head.replace(offset, bytes.size(), bytes.data(), bytes.size());
  const uint64_t checksum = XXH3_64bits(head.data(), 64);
  memcpy(&head[64], &checksum, sizeof(checksum));
  return head;
}

template <class T>
std::string Bytes(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

TEST(LogHead, DecodesToWhatWasEncoded) {
  for (const Direction direction : {Direction::kRequests, Direction::kResponses}) {
    for (const WriterState state :
         {WriterState::kOpen, WriterState::kDraining, WriterState::kClosed}) {
      LogHead head = TestHead(kDefaultCapacity, direction);
      head.state = state;
      head.counter = ~uint64_t{0};
      head.flushed = uint64_t{1} << 50;
      const std::string bytes = EncodeHead(head);
      ASSERT_EQ(bytes.size(), kEncodedHeadSize);
      ASSERT_OK_AND_ASSIGN(const LogHead got, DecodeHead(bytes));
      EXPECT_EQ(got.direction, head.direction);
      EXPECT_EQ(got.state, head.state);
      EXPECT_EQ(got.id, head.id);
      EXPECT_EQ(got.capacity, head.capacity);
      EXPECT_EQ(got.counter, head.counter);
      EXPECT_EQ(got.flushed, head.flushed);
      EXPECT_EQ(got.term_ns, head.term_ns);
    }
  }
}

TEST(LogHead, AnyFlippedBitIsNoNews) {
  const std::string good = EncodeHead(TestHead());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_THAT(DecodeHead(bad), HasCode(absl::StatusCode::kDataLoss)) << "bit " << bit;
  }
}

TEST(LogHead, TruncatedAtAnyByteIsNoNews) {
  const std::string good = EncodeHead(TestHead());
  for (size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_THAT(DecodeHead(good.substr(0, cut)), HasCode(absl::StatusCode::kDataLoss)) << cut;
    std::string torn = good.substr(0, cut);
    torn.resize(good.size(), '\0');
    EXPECT_THAT(DecodeHead(torn), HasCode(absl::StatusCode::kDataLoss)) << cut;
  }
}

TEST(LogHead, TornBetweenTwoRenewalsIsNoNews) {
  LogHead before = TestHead();
  LogHead after = before;
  ++after.counter;
  after.flushed = 4096;
  const std::string a = EncodeHead(before), b = EncodeHead(after);
  for (size_t cut = 0; cut <= a.size(); ++cut) {
    for (const std::string& torn :
         {a.substr(0, cut) + b.substr(cut), b.substr(0, cut) + a.substr(cut)}) {
      if (torn == a || torn == b) continue;
      EXPECT_THAT(DecodeHead(torn), HasCode(absl::StatusCode::kDataLoss)) << cut;
    }
  }
}

TEST(LogHead, AnotherVersionSaysWhichItIsAndWhichIsKnown) {
  for (const uint16_t version : {0, 2, 258, 65535}) {
    EXPECT_THAT(
        DecodeHead(Patched(8, Bytes(version))),
        StatusIs(absl::StatusCode::kFailedPrecondition,
                 AllOf(HasSubstr("version " + std::to_string(version)), HasSubstr("knows 1"))));
  }
}

TEST(LogHead, FieldsOutOfBoundsAreRefusedUnderAGoodChecksum) {
  ASSERT_OK(DecodeHead(Patched(0, "SPOOLLOG"))) << "the patching itself is sound";
  EXPECT_FALSE(DecodeHead(Patched(0, "SPOOLREC")).ok());
  EXPECT_FALSE(DecodeHead(Patched(10, Bytes<uint8_t>(3))).ok()) << "direction";
  EXPECT_FALSE(DecodeHead(Patched(11, Bytes<uint8_t>(0))).ok()) << "state";
  EXPECT_FALSE(DecodeHead(Patched(11, Bytes<uint8_t>(4))).ok()) << "state";
  for (const uint64_t capacity :
       {uint64_t{0}, kMinCapacity - 4096, kMinCapacity + 8, kMinCapacity + 4095,
        kMaxCapacity + 4096, ~uint64_t{0}, uint64_t{1} << 63, ~uint64_t{4095}}) {
    EXPECT_THAT(DecodeHead(Patched(32, Bytes(capacity))), HasCode(absl::StatusCode::kDataLoss))
        << "capacity " << capacity;
  }
  for (const uint64_t capacity : {kMinCapacity, kMinCapacity + 4096, kMaxCapacity}) {
    EXPECT_OK(DecodeHead(Patched(32, Bytes(capacity)))) << "capacity " << capacity;
  }
}

TEST(LogHead, UnusedBytesMayMeanSomethingLater) {
  EXPECT_OK(DecodeHead(Patched(12, Bytes<uint32_t>(1))));
}

TEST(LogHead, ALeaseHasNoRing) {
  LogHead lease = TestHead(0, Direction::kLease);
  EXPECT_OK(DecodeHead(EncodeHead(lease)));
  lease.capacity = kMinCapacity;
  EXPECT_THAT(DecodeHead(EncodeHead(lease)), HasCode(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace spoolrpc::log
