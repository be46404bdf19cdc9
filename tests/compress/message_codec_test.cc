// The codec: what comes back, and what is refused.
#include "spoolrpc/compress/message_codec.h"

#include <stdlib.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/seed.h"
#include "tests/testing/status_matchers.h"

namespace {
std::atomic<size_t> g_largest_allocation{0};
}  // namespace

// So that a test can say how much was asked for at once.
void* operator new(size_t size) {
  size_t largest = g_largest_allocation;
  while (size > largest && !g_largest_allocation.compare_exchange_weak(largest, size)) {
  }
  void* const memory = malloc(std::max<size_t>(1, size));
  if (memory == nullptr) abort();
  return memory;
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }

namespace spoolrpc::compress {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr size_t kMegabyte = 1024 * 1024;

std::string Text(int lines) {
  std::string text;
  for (int64_t i = 0; i < lines; ++i) absl::StrAppend(&text, "line ", i * i, " of some text\n");
  return text;
}

std::string Compressed(absl::string_view content) {
  std::string out;
  EXPECT_OK(Compress(content, &out));
  return out;
}

// Another compressor's: `parameters` as zstd's library takes them.
std::string OtherFrame(absl::string_view content,
                       const std::vector<std::pair<ZSTD_cParameter, int>>& parameters) {
  const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                   ZSTD_freeCCtx);
  for (const auto& [parameter, value] : parameters) {
    EXPECT_FALSE(ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), parameter, value)));
  }
  std::string out(ZSTD_compressBound(content.size()), '\0');
  const size_t size =
      ZSTD_compress2(context.get(), &out[0], out.size(), content.data(), content.size());
  EXPECT_FALSE(ZSTD_isError(size));
  out.resize(size);
  return out;
}

std::string OfUnknownSize(absl::string_view content) {
  const std::string frame = OtherFrame(content, {{ZSTD_c_contentSizeFlag, 0}});
  EXPECT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), ZSTD_CONTENTSIZE_UNKNOWN);
  return frame;
}

TEST(MessageCodecTest, WhatWasCompressedComesBack) {
  std::mt19937_64 random(testing::TestSeed());
  for (const size_t size : {0, 1, 2, 100, 65535, 65536, 131072, 131073, 3000000}) {
    std::string noise(size, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    std::string text = Text(static_cast<int>(size / 20) + 1);
    text.resize(size);
    for (const std::string& content : {std::string(size, 'z'), noise, text}) {
      ASSERT_OK_AND_ASSIGN(const std::string back, Decompress(Compressed(content), size));
      EXPECT_TRUE(back == content) << size;
    }
  }
}

TEST(MessageCodecTest, TextShrinksAndNoiseHardlyGrows) {
  const std::string text = Text(1000);
  EXPECT_LT(Compressed(text).size(), text.size() / 3);
  std::mt19937_64 random(testing::TestSeed());
  std::string noise(100000, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  EXPECT_LT(Compressed(noise).size(), noise.size() + 100);
}

TEST(MessageCodecTest, CompressReplacesWhatWasThere) {
  std::string out(500000, 'x');
  ASSERT_OK(Compress("short", &out));
  EXPECT_LT(out.size(), 100);
  EXPECT_THAT(Decompress(out, 100), IsOk());
  EXPECT_EQ(*Decompress(out, 100), "short");
}

TEST(MessageCodecTest, TheLimitIsExact) {
  for (const std::string& frame : {Compressed(Text(1000)), OfUnknownSize(Text(1000))}) {
    const size_t size = Text(1000).size();
    EXPECT_OK(Decompress(frame, size));
    EXPECT_OK(Decompress(frame, size * 10));
    EXPECT_THAT(Decompress(frame, size - 1),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(absl::StrCat(size - 1))));
    EXPECT_THAT(Decompress(frame, 0), HasCode(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_OK(Decompress(Compressed(""), 0));
  EXPECT_OK(Decompress(OfUnknownSize(""), 0));
}

TEST(MessageCodecTest, ABombTakesNoMoreThanIsAllowed) {
  const std::string bomb(400 * kMegabyte, '\0');
  // Not a power of two times the first guess, so that doubling must stop short of it.
  const size_t allowed = 5 * kMegabyte / 3;
  for (const std::string& frame : {Compressed(bomb), OfUnknownSize(bomb)}) {
    EXPECT_LT(frame.size(), kMegabyte / 16);
    g_largest_allocation = 0;
    const absl::StatusOr<std::string> content = Decompress(frame, allowed);
    EXPECT_LE(g_largest_allocation, allowed + 1);  // the string's terminating zero
    EXPECT_THAT(content, HasCode(absl::StatusCode::kResourceExhausted));
    // All of it is right all the same where it is allowed.
    ASSERT_OK_AND_ASSIGN(const std::string all, Decompress(frame, bomb.size()));
    EXPECT_TRUE(all == bomb);
  }
}

TEST(MessageCodecTest, AClaimThatCannotBeTrueTakesNoMemory) {
  // Content size in eight bytes, window descriptor, a block of one byte.
  const uint64_t claim = 1024 * kMegabyte;
  std::string frame("\x28\xb5\x2f\xfd\xc0\x70", 6);
  frame.append(reinterpret_cast<const char*>(&claim), sizeof(claim));
  frame += std::string("\x09\x00\x00x", 4);
  ASSERT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), claim);
  g_largest_allocation = 0;
  const absl::StatusOr<std::string> content = Decompress(frame, 2 * claim);
  EXPECT_LE(g_largest_allocation, kMegabyte);
  EXPECT_THAT(content, HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Decompress(frame, 1000), HasCode(absl::StatusCode::kResourceExhausted));
}

TEST(MessageCodecTest, OtherCompressorsFramesAreRead) {
  const std::string content = Text(20000);
  for (const std::string& frame : {
           OfUnknownSize(content),
           OtherFrame(content, {{ZSTD_c_compressionLevel, 19}}),
           OtherFrame(content, {{ZSTD_c_compressionLevel, -5}}),
           OtherFrame(content, {{ZSTD_c_checksumFlag, 0}}),
           OtherFrame(content, {{ZSTD_c_checksumFlag, 1}, {ZSTD_c_contentSizeFlag, 0}}),
           // A window of 128 MiB, though the content is small.
           OtherFrame(content, {{ZSTD_c_windowLog, 27}, {ZSTD_c_contentSizeFlag, 0}}),
       }) {
    ASSERT_OK_AND_ASSIGN(const std::string back, Decompress(frame, content.size()));
    EXPECT_TRUE(back == content);
  }
}

TEST(MessageCodecTest, WhatIsNoFrameIsRefused) {
  for (const std::string& bytes : {
           std::string(), std::string("\x28\xb5\x2f", 3), std::string("plain bytes of a message"),
           std::string(100, '\0'),
           std::string("\x50\x2a\x4d\x18\x04\0\0\0abcd", 12),  // a skippable frame
           std::string("\x25\xb5\x2f\xfd\x00\x00\x00\x00\x00\x00\x00\x00", 12),  // version 0.5
           std::string("\x1f\x8b\x08\0\0\0\0\0", 8),                             // gzip
       }) {
    EXPECT_THAT(Decompress(bytes, kMegabyte),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not compressed by zstd")))
        << bytes.size();
  }
}

TEST(MessageCodecTest, MoreThanOneFrameIsRefused) {
  const std::string frame = Compressed(Text(100));
  for (const std::string& bytes : {frame + frame, frame + "x", frame + std::string(8, '\0')}) {
    EXPECT_THAT(Decompress(bytes, kMegabyte),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(absl::StrCat(frame.size()))))
        << bytes.size();
  }
}

TEST(MessageCodecTest, ADictionaryIsRefused) {
  // A dictionary's id, put into the header of a frame that has none.
  std::string frame = OtherFrame("some content", {{ZSTD_c_checksumFlag, 0}});
  ASSERT_EQ(frame[4] & 0x3, 0);
  ASSERT_EQ(frame[4] & 0x20, 0x20);  // single segment: no window descriptor before the id
  frame[4] |= 1;
  frame.insert(5, 1, '\x07');
  ASSERT_EQ(ZSTD_getDictID_fromFrame(frame.data(), frame.size()), 7);
  EXPECT_THAT(Decompress(frame, kMegabyte),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("dictionary")));
}

TEST(MessageCodecTest, EveryCutIsFound) {
  for (const std::string& frame : {Compressed(Text(50)), OfUnknownSize(Text(50))}) {
    for (size_t length = 4; length < frame.size(); ++length) {
      EXPECT_THAT(Decompress(frame.substr(0, length), kMegabyte),
                  HasCode(absl::StatusCode::kDataLoss))
          << length;
    }
  }
}

TEST(MessageCodecTest, EveryFlippedBitIsFound) {
  const std::string content = Text(50);
  const std::string frame = Compressed(content);
  int lost = 0;
  for (size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    std::string flipped = frame;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    const absl::StatusOr<std::string> back = Decompress(flipped, kMegabyte);
    // Some bits say nothing, such as the unused one of the header.
    if (back.ok()) {
      EXPECT_EQ(*back, content) << bit;
    } else {
      lost += absl::IsDataLoss(back.status());
    }
  }
  EXPECT_GT(lost, 7 * frame.size());
}

TEST(MessageCodecTest, AfterAFailureTheThreadGoesOn) {
  const std::string content = Text(100);
  std::string damaged = Compressed(content);
  damaged[damaged.size() / 2] ^= 1;
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(Decompress(damaged, kMegabyte), HasCode(absl::StatusCode::kDataLoss));
    ASSERT_OK_AND_ASSIGN(const std::string back, Decompress(Compressed(content), kMegabyte));
    EXPECT_EQ(back, content);
  }
}

TEST(MessageCodecTest, ThreadsDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([i] {
      for (int round = 0; round < 200; ++round) {
        const std::string content = Text(i * 50 + round);
        const absl::StatusOr<std::string> back = Decompress(Compressed(content), kMegabyte);
        ASSERT_OK(back);
        ASSERT_EQ(*back, content);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace spoolrpc::compress
