// A frame is valid exactly where it was written, whole and unharmed.
#include "spoolrpc/log/frame.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/log/log_test_util.h"
#include "tests/testing/seed.h"

namespace spoolrpc::log {
namespace {

constexpr uint64_t kPosition = 4096 * 3 + 40;
constexpr uint64_t kSequence = 77;
constexpr uint64_t kRoom = 65536;
constexpr size_t kMaxLength = 16384;

FrameKey TestKey() { return FrameKey(TestId(), Direction::kRequests); }

struct Sealed {
  FrameType type = FrameType::kCall;
  uint8_t flags = kMore;
  uint64_t position = kPosition;
  uint64_t sequence = kSequence;
  uint64_t consumed = 123456;
  uint64_t call = 9;
  std::string payload = "some payload";
};

std::string Seal(const Sealed& s, const FrameKey& key = TestKey()) {
  std::string bytes(AlignFrame(kFrameHeaderSize + s.payload.size()), '\0');
  bytes.replace(kFrameHeaderSize, s.payload.size(), s.payload);
  SealFrame(key, s.type, s.flags, s.position, s.sequence, s.consumed, s.call,
            kFrameHeaderSize + s.payload.size(), bytes.data());
  return bytes;
}

struct Decoded {
  DecodeResult result;
  Frame frame = {};
  size_t length = 0;
};

// Decodes from an allocation of exactly these bytes, so that a sanitizer sees any step beyond.
Decoded Decode(const std::string& bytes, const FrameKey& key = TestKey(),
               uint64_t position = kPosition, uint64_t sequence = kSequence, uint64_t room = kRoom,
               size_t max_length = kMaxLength) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  Decoded d;
  d.result = DecodeFrame(key, exact.data(), exact.size(), room, max_length, position, sequence,
                         &d.frame, &d.length);
  d.frame.payload = {};  // it points into `exact`
  return d;
}

TEST(Frame, DecodesToWhatWasSealed) {
  const Sealed s;
  const std::string bytes = Seal(s);
  Frame frame;
  size_t length = 0;
  ASSERT_EQ(DecodeFrame(TestKey(), bytes.data(), bytes.size(), kRoom, kMaxLength, s.position,
                        s.sequence, &frame, &length),
            DecodeResult::kValid);
  EXPECT_EQ(length, kFrameHeaderSize + s.payload.size());
  EXPECT_EQ(frame.type, s.type);
  EXPECT_EQ(frame.flags, s.flags);
  EXPECT_EQ(frame.position, s.position);
  EXPECT_EQ(frame.sequence, s.sequence);
  EXPECT_EQ(frame.consumed, s.consumed);
  EXPECT_EQ(frame.call, s.call);
  EXPECT_EQ(frame.payload, s.payload);
  EXPECT_EQ(frame.payload.data(), bytes.data() + kFrameHeaderSize);
}

TEST(Frame, EveryLengthDecodes) {
  std::mt19937_64 random(testing::TestSeed());
  for (size_t size = 0; size <= kMaxLength - kFrameHeaderSize;
       size = size < 300 ? size + 1 : size * 2 + 1) {
    Sealed s;
    s.payload.resize(size);
    for (char& byte : s.payload) byte = static_cast<char>(random());
    const Decoded d = Decode(Seal(s));
    EXPECT_EQ(d.result, DecodeResult::kValid) << size;
    EXPECT_EQ(d.length, kFrameHeaderSize + size);
  }
}

TEST(Frame, AnyFlippedBitMakesItInvalid) {
  for (const size_t size : {0, 1, 7, 8, 24, 100, 1000}) {
    for (const FrameType type : {FrameType::kCall, FrameType::kReply, FrameType::kConsumed}) {
      Sealed s;
      s.type = type;
      s.payload.assign(size, 'p');
      const std::string good = Seal(s);
      ASSERT_EQ(Decode(good).result, DecodeResult::kValid);
      for (size_t bit = 0; bit < (kFrameHeaderSize + size) * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] ^= static_cast<char>(1 << bit % 8);
        EXPECT_NE(Decode(bad).result, DecodeResult::kValid)
            << "byte " << bit / 8 << " bit " << bit % 8 << " of a frame with " << size
            << " bytes of payload";
      }
    }
  }
}

TEST(Frame, AnyOtherValueOfAHeaderByteMakesItInvalid) {
  const std::string good = Seal(Sealed());
  for (size_t at = 0; at < kFrameHeaderSize; ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string bad = good;
      if (static_cast<uint8_t>(bad[at]) == value) continue;
      bad[at] = static_cast<char>(value);
      EXPECT_NE(Decode(bad).result, DecodeResult::kValid) << "byte " << at << " value " << value;
    }
  }
}

TEST(Frame, AnyFlippedBitOfAPadsHeaderMakesItInvalid) {
  std::string good(kFrameHeaderSize, '\0');
  SealFrame(TestKey(), FrameType::kPad, 0, kPosition, kSequence, 5, 0, 4000, good.data());
  ASSERT_EQ(Decode(good).result, DecodeResult::kValid) << "its payload is not needed";
  EXPECT_EQ(Decode(good).length, 4000);
  for (size_t bit = 0; bit < kFrameHeaderSize * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] ^= static_cast<char>(1 << bit % 8);
    bad.resize(5000, '\0');
    EXPECT_NE(Decode(bad).result, DecodeResult::kValid) << bit;
  }
}

TEST(Frame, TruncatedAtAnyByteItIsNeverValid) {
  const std::string good = Seal(Sealed());
  const size_t length = kFrameHeaderSize + Sealed().payload.size();
  for (size_t cut = 0; cut < length; ++cut) {
    const Decoded d = Decode(good.substr(0, cut));
    EXPECT_EQ(d.result, DecodeResult::kShort) << "cut at " << cut;
    EXPECT_EQ(d.length, cut < kFrameHeaderSize ? kFrameHeaderSize : length)
        << "what to read next, cut at " << cut;
    // Zeros behind the cut, as of a write that is half visible.
    std::string torn = good.substr(0, cut);
    torn.resize(good.size(), '\0');
    EXPECT_EQ(Decode(torn).result, DecodeResult::kNotValid) << "torn at " << cut;
  }
}

TEST(Frame, ZerosAreNotValid) {
  EXPECT_EQ(Decode(std::string(40, '\0')).result, DecodeResult::kNotValid);
  EXPECT_EQ(Decode(std::string(10000, '\0')).result, DecodeResult::kNotValid);
}

TEST(Frame, RandomBytesAreNeverValid) {
  std::mt19937_64 random(testing::TestSeed());
  for (int round = 0; round < 100000; ++round) {
    std::string bytes(40 + random() % 100, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    // The plain checks pass; the checksum alone must refuse it.
    const uint32_t length = 40 + random() % (bytes.size() - 39);
    const uint64_t sequence = kSequence;
    memcpy(bytes.data(), &length, sizeof(length));
    memset(bytes.data() + 6, 0, 2);
    memcpy(bytes.data() + 16, &sequence, sizeof(sequence));
    EXPECT_EQ(Decode(bytes).result, DecodeResult::kNotValid);
  }
}

TEST(Frame, ThoseOfAnotherPlaceAreNotValid) {
  const std::string good = Seal(Sealed());
  for (size_t bit = 0; bit < 128; ++bit) {
    std::string id = TestId();
    id[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_NE(Decode(good, FrameKey(id, Direction::kRequests)).result, DecodeResult::kValid);
  }
  EXPECT_NE(Decode(good, FrameKey(TestId(), Direction::kResponses)).result, DecodeResult::kValid);
  for (const uint64_t position : {kPosition - 8, kPosition + 8, uint64_t{0}, kPosition + 65536,
                                  kPosition + 2 * 65536, kPosition + (uint64_t{1} << 40)}) {
    EXPECT_NE(Decode(good, TestKey(), position).result, DecodeResult::kValid)
        << "another place or another lap: position " << position;
  }
  for (const uint64_t sequence : {kSequence - 1, kSequence + 1, uint64_t{0}, ~kSequence}) {
    EXPECT_NE(Decode(good, TestKey(), kPosition, sequence).result, DecodeResult::kValid);
  }
}

TEST(Frame, ItMustEndWithinTheRingAndTheLimit) {
  const std::string good = Seal(Sealed());
  const size_t length = kFrameHeaderSize + Sealed().payload.size();
  EXPECT_EQ(Decode(good, TestKey(), kPosition, kSequence, /*room=*/length).result,
            DecodeResult::kValid);
  EXPECT_EQ(Decode(good, TestKey(), kPosition, kSequence, /*room=*/length - 1).result,
            DecodeResult::kNotValid);
  EXPECT_EQ(Decode(good, TestKey(), kPosition, kSequence, kRoom, /*max_length=*/length).result,
            DecodeResult::kValid);
  EXPECT_EQ(Decode(good, TestKey(), kPosition, kSequence, kRoom, /*max_length=*/length - 1).result,
            DecodeResult::kNotValid);
}

TEST(Frame, UnusedBytesOfTheHeaderAreZeroEvenUnderAGoodChecksum) {
  const size_t length = kFrameHeaderSize + Sealed().payload.size();
  for (const size_t at : {6, 7}) {
    std::string bytes = Seal(Sealed());
    bytes[at] = 1;
    const uint64_t checksum = TestKey().Checksum(bytes.data(), length, kPosition);
    memcpy(bytes.data() + 8, &checksum, sizeof(checksum));
    EXPECT_EQ(Decode(bytes).result, DecodeResult::kNotValid) << at;
  }
}

TEST(Frame, NothingIsExpectedWhereNoHeaderFits) {
  for (size_t available = 0; available < 32; ++available) {
    EXPECT_EQ(
        Decode(std::string(available, 'x'), TestKey(), kPosition, kSequence, /*room=*/32).result,
        DecodeResult::kNotValid);
  }
}

// Whoever follows the length of a damaged header must be told a bound that it can trust.
TEST(Frame, WhatIsWantedOfAShortFrameIsBounded) {
  std::mt19937_64 random(testing::TestSeed());
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = Seal(Sealed()).substr(0, random() % 53);
    for (size_t i = 0; i < std::min<size_t>(bytes.size(), 8); ++i) {
      if (random() % 2) bytes[i] = static_cast<char>(random());
    }
    const uint64_t room = 40 + random() % 20000;
    const Decoded d = Decode(bytes, TestKey(), kPosition, kSequence, room);
    if (d.result != DecodeResult::kShort) continue;
    EXPECT_GT(d.length, bytes.size() < 40 ? 39 : bytes.size());
    EXPECT_LE(d.length, std::min<uint64_t>(room, kMaxLength));
  }
}

}  // namespace
}  // namespace spoolrpc::log
