// References as bytes, and the checksum that docs/format.md describes.
#include "spoolrpc/link/bulk_reference.h"

#include <string.h>
#include <xxhash.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "spoolrpc/link/bulk_checksum.h"

namespace spoolrpc::link {
namespace {

BulkReference Sample() {
  BulkReference reference;
  reference.buffer = 3;
  reference.generation = 7;
  reference.offset = 4096;
  reference.length = 150000;
  reference.checksum = 0x1122334455667788;
  return reference;
}

TEST(BulkReferenceTest, IsFortyBytesLittleEndian) {
  const std::string bytes = EncodeBulkReference(Sample());
  EXPECT_EQ(bytes, std::string("\x03\0\0\0\0\0\0\0"
                               "\x07\0\0\0\0\0\0\0"
                               "\0\x10\0\0\0\0\0\0"
                               "\xf0\x49\x02\0\0\0\0\0"
                               "\x88\x77\x66\x55\x44\x33\x22\x11",
                               kBulkReferenceSize));
  const auto decoded = DecodeBulkReference(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(EncodeBulkReference(*decoded), bytes);
}

TEST(BulkReferenceTest, WhatNoWriterMayHaveIsNone) {
  const auto valid = [](const auto& change) {
    BulkReference reference = Sample();
    change(&reference);
    return DecodeBulkReference(EncodeBulkReference(reference)).has_value();
  };
  EXPECT_TRUE(valid([](BulkReference* r) { r->buffer = 1000000; }));
  EXPECT_FALSE(valid([](BulkReference* r) { r->buffer = 1000001; }));
  EXPECT_FALSE(valid([](BulkReference* r) { r->buffer = 0; }));
  EXPECT_FALSE(valid([](BulkReference* r) { r->generation = 0; }));
  EXPECT_FALSE(valid([](BulkReference* r) { r->length = 0; }));
  EXPECT_TRUE(valid([](BulkReference* r) { r->length = kMaxBulkLength; }));
  EXPECT_FALSE(valid([](BulkReference* r) { r->length = kMaxBulkLength + 1; }));
  EXPECT_FALSE(valid([](BulkReference* r) { r->length = ~uint64_t{0}; }));
  EXPECT_FALSE(valid([](BulkReference* r) { r->offset = kMaxBulkBuffer; }));
  EXPECT_FALSE(valid([](BulkReference* r) { r->offset = ~uint64_t{0}; }));
  const std::string bytes = EncodeBulkReference(Sample());
  EXPECT_FALSE(DecodeBulkReference("").has_value());
  EXPECT_FALSE(DecodeBulkReference(bytes.substr(1)).has_value());
  EXPECT_FALSE(DecodeBulkReference(bytes + "x").has_value());
  std::string nonzero = bytes;
  nonzero[4] = 1;
  EXPECT_FALSE(DecodeBulkReference(nonzero).has_value());
}

TEST(BulkReferenceTest, AReleaseIsSixteenBytes) {
  const std::string bytes = EncodeBulkRelease({3, 7});
  EXPECT_EQ(bytes, std::string("\x03\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0", kReleaseSize));
  const auto release = DecodeBulkRelease(bytes);
  ASSERT_TRUE(release.has_value());
  EXPECT_EQ(release->buffer, 3);
  EXPECT_EQ(release->generation, 7);
  EXPECT_FALSE(DecodeBulkRelease(bytes + "x").has_value());
  EXPECT_FALSE(DecodeBulkRelease(EncodeBulkRelease({0, 7})).has_value());
  EXPECT_FALSE(DecodeBulkRelease(EncodeBulkRelease({3, 0})).has_value());
}

TEST(BulkChecksumTest, IsTheDocumentedOne) {
  const log::FrameKey key(std::string(16, '\x07'), log::Direction::kResponses);
  const std::string id_and_direction = std::string(16, '\x07') + '\x01';
  const BulkReference reference = Sample();
  const uint64_t seed = XXH3_64bits(id_and_direction.data(), id_and_direction.size()) ^
                        3 * 0x9E3779B97F4A7C15ull ^ 7 * 0xC2B2AE3D27D4EB4Full ^
                        4096 * 0x165667B19E3779F9ull;
  EXPECT_EQ(BulkSeed(key, reference), seed);
  std::string bytes(150000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + i / 999);
  const uint64_t pieces[] = {
      XXH3_64bits_withSeed(bytes.data(), 65536, seed),
      XXH3_64bits_withSeed(bytes.data() + 65536, 65536, seed + 1),
      XXH3_64bits_withSeed(bytes.data() + 131072, 150000 - 131072, seed + 2),
  };
  const uint64_t expected = XXH3_64bits_withSeed(pieces, sizeof(pieces), seed ^ 150000);
  EXPECT_EQ(BulkChecksum(bytes, seed), expected);
  std::vector<char> copy(bytes.size());
  EXPECT_EQ(CopyWithBulkChecksum(bytes, seed, copy.data()), expected);
  EXPECT_EQ(memcmp(copy.data(), bytes.data(), bytes.size()), 0);
}

}  // namespace
}  // namespace spoolrpc::link
