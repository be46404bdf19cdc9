// Dumps of logs: every frame that is there is found, and what is damaged is said, wherever it is.
#include <string.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/spool_files.h"
#include "tests/testing/seed.h"

namespace spoolrpc::cli {
namespace {

using log::FrameType;
using ::testing::AllOf;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Not;

std::string RequestsPath() { return absl::StrCat("spool/sessions/", SessionName(), "/requests"); }

// A log of calls with messages of 0 to `longest` bytes, until position `end`.
LogImage Filled(uint64_t end, size_t longest, std::mt19937_64* random) {
  LogImage log(log::Direction::kRequests);
  for (uint64_t call = 1; log.end() < end; ++call) {
    log.AddCall(call, "/a.B/C", std::string((*random)() % (longest + 1), 'm'));
  }
  return log;
}

TEST(DumpLogTest, PrintsHeadAndFrames) {
  const Dumped dumped = Dump(absl::StrCat("x/sessions/", SessionName(), "/responses"), [] {
    for (const SpoolFile& file : OneOfEach()) {
      if (absl::StrContains(file.path, "responses")) return file.bytes;
    }
    return std::string();
  }());
  EXPECT_EQ(dumped.problems, 0) << dumped.text;
  EXPECT_THAT(
      dumped.text,
      AllOf(HasSubstr("response log, open, ring of 64 KiB, 7 frames (sequence 1 to 7)"),
            HasSubstr(absl::StrCat("id ", SessionName())), HasSubstr("ACK"),
            HasSubstr("ACKED OK, message 5 bytes"),
            HasSubstr("NOT_FOUND \"no such greeting\" {trailing_metadata { key: \"key-bin\""),
            HasSubstr("details {code: 5 details"), HasSubstr("MORE OK, message 5 bytes so far"),
            HasSubstr("the last 3 bytes"), HasSubstr("CONSUMED"), HasSubstr("type 99"),
            HasSubstr("SKIPPABLE"), HasSubstr("nothing yet")));
  EXPECT_THAT(dumped.text, Not(HasSubstr("\x1b"))) << "metadata reached the terminal";
}

TEST(DumpLogTest, PayloadsAreShownOnRequest) {
  LogImage log(log::Direction::kRequests);
  log.AddCall(1, "/a.B/C", "some message");
  EXPECT_THAT(Dump(RequestsPath(), log.Bytes()).text, Not(HasSubstr("some mess")));
  DumpOptions options;
  options.payloads = true;
  EXPECT_THAT(Dump(RequestsPath(), log.Bytes(), options).text, HasSubstr("6d 65 73 73 61  67 65"));
}

TEST(DumpLogTest, FindsTheFramesOfARingWhateverItsWriterHasOverwritten) {
  std::mt19937_64 random(testing::TestSeed());
  for (const size_t longest : {0, 100, 3000, 16000}) {
    for (const uint64_t end : {1u, 60000u, 65536u, 70000u, 131072u, 1000000u, 10000000u}) {
      LogImage log = Filled(end, longest, &random);
      // Whether the head is of now, of long ago, or of no use.
      for (int head = 0; head < 3; ++head) {
        if (head == 1) log.SetFlushed();
        std::string bytes = log.Bytes();
        if (head == 2) bytes[65] ^= 1;
        const Dumped dumped = Dump(RequestsPath(), bytes);
        EXPECT_EQ(dumped.problems, head == 2 ? 1 : 0) << dumped.text.substr(0, 3000);
        ASSERT_THAT(PrintedPositions(dumped.text), ElementsAreArray(log.Present()))
            << longest << " " << end << " " << head;
      }
    }
  }
}

TEST(DumpLogTest, FindsFramesFarBeyondWhatTheHeadSays) {
  // A hundred million laps on, with frames of 100 bytes on the average.
  const uint64_t position = uint64_t{100'000'000} * log::kMinCapacity;
  LogImage log(log::Direction::kRequests, log::kMinCapacity, position, position / 100);
  for (uint64_t call = 1; call < 2000; ++call) log.AddCall(call, "", std::string(50, 'm'));
  log.head()->flushed = position - uint64_t{1'000'000} * log::kMinCapacity;
  const Dumped dumped = Dump(RequestsPath(), log.Bytes());
  EXPECT_EQ(dumped.problems, 0) << dumped.text.substr(0, 3000);
  EXPECT_THAT(PrintedPositions(dumped.text), ElementsAreArray(log.Present()));
}

TEST(DumpLogTest, ShowsTheNewestFrames) {
  std::mt19937_64 random(testing::TestSeed());
  const LogImage log = Filled(200000, 300, &random);
  std::vector<uint64_t> newest = log.Present();
  newest.erase(newest.begin(), newest.end() - 5);
  DumpOptions options;
  options.frames = 5;
  const Dumped dumped = Dump(RequestsPath(), log.Bytes(), options);
  EXPECT_THAT(PrintedPositions(dumped.text), ElementsAreArray(newest));
  EXPECT_THAT(dumped.text, HasSubstr("older frames not shown"));
  options.frames = 0;
  EXPECT_THAT(PrintedPositions(Dump(RequestsPath(), log.Bytes(), options).text),
              ::testing::IsEmpty());
}

TEST(DumpLogTest, AFlippedBitOfTheHeadIsSaidAndTheFramesAreFound) {
  std::mt19937_64 random(testing::TestSeed());
  LogImage log = Filled(150000, 500, &random);
  log.SetFlushed();
  const std::string whole = log.Bytes();
  for (size_t bit = 0; bit < 8 * log::kEncodedHeadSize; ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] ^= 1 << (bit % 8);
    const Dumped dumped = Dump(RequestsPath(), bytes);
    EXPECT_GE(dumped.problems, 1) << "bit " << bit;
    EXPECT_THAT(dumped.text, HasSubstr(bit < 64 ? "at offset 0: wrong magic"
                                                : "at offset 64: wrong checksum of the head"));
    ASSERT_THAT(PrintedPositions(dumped.text), ElementsAreArray(log.Present())) << "bit " << bit;
  }
}

TEST(DumpLogTest, EachFlippedBitOfAFrameIsFoundWhereItIs) {
  LogImage log(log::Direction::kRequests);
  std::vector<uint64_t> others;
  others.push_back(log.AddCall(1, "/a.B/C", "first"));
  const uint64_t middle = log.AddCall(2, "", "message");
  const uint64_t after = log.AddCall(3, "", "third");
  others.push_back(after);
  log.SetFlushed();
  const std::string whole = log.Bytes();
  // The padding, the last bytes before the next frame, is not checked.
  const size_t length = log::kFrameHeaderSize + 4 + 2 + 7;
  ASSERT_LE(length, after - middle);
  for (size_t bit = 0; bit < 8 * length; ++bit) {
    std::string bytes = whole;
    bytes[log.OffsetOf(middle) + bit / 8] ^= 1 << (bit % 8);
    const Dumped dumped = Dump(RequestsPath(), bytes);
    EXPECT_EQ(dumped.problems, 1) << "bit " << bit << "\n" << dumped.text;
    EXPECT_THAT(dumped.text,
                AllOf(HasSubstr(absl::StrCat("PROBLEM: at offset ", log.OffsetOf(middle),
                                             ": positions ", middle, " to ", after)),
                      HasSubstr("though the writer has flushed it")))
        << "bit " << bit;
    EXPECT_THAT(PrintedPositions(dumped.text), ElementsAreArray(others)) << "bit " << bit;
  }
  // Found and expected.
  std::string bytes = whole;
  bytes[log.OffsetOf(middle) + 8] ^= 1;
  uint64_t right = 0;
  memcpy(&right, whole.data() + log.OffsetOf(middle) + 8, 8);
  EXPECT_THAT(Dump(RequestsPath(), bytes).text,
              HasSubstr(absl::StrFormat("found 0x%016x, expected 0x%016x", right ^ 1, right)));
}

TEST(DumpLogTest, TheFirstAndTheLastFrameMayBeDamagedToo) {
  LogImage log(log::Direction::kRequests);
  std::vector<uint64_t> all;
  for (int call = 1; call <= 5; ++call) all.push_back(log.AddCall(call, "", "m"));
  log.SetFlushed();
  for (const size_t damaged : {0, 4}) {
    std::string bytes = log.Bytes();
    bytes[log.OffsetOf(all[damaged]) + 20] ^= 4;
    std::vector<uint64_t> others = all;
    others.erase(others.begin() + damaged);
    const Dumped dumped = Dump(RequestsPath(), bytes);
    EXPECT_EQ(dumped.problems, 1) << dumped.text;
    EXPECT_THAT(dumped.text, HasSubstr(absl::StrCat("at offset ", log.OffsetOf(all[damaged]))));
    EXPECT_THAT(PrintedPositions(dumped.text), ElementsAreArray(others));
  }
  // All of them: nothing is left to find, and that is said.
  std::string bytes = log.Bytes();
  for (const uint64_t position : all) bytes[log.OffsetOf(position) + 20] ^= 4;
  const Dumped dumped = Dump(RequestsPath(), bytes);
  EXPECT_THAT(dumped.text, HasSubstr("no valid frame in the ring"));
  // Zeros where frames were flushed: a lost write.
  bytes = log.Bytes();
  std::fill(bytes.begin() + log::kHeadSize, bytes.end(), '\0');
  EXPECT_THAT(Dump(RequestsPath(), bytes).text, HasSubstr("only zeros, though the writer"));
}

TEST(DumpLogTest, WhatIsNotFlushedIsNotYetAndNoProblem) {
  LogImage log(log::Direction::kRequests);
  log.AddCall(1, "", "m");
  log.SetFlushed();
  const uint64_t torn = log.AddCall(2, "", "torn");
  std::string bytes = log.Bytes();
  bytes[log.OffsetOf(torn) + 45] ^= 1;
  const Dumped dumped = Dump(RequestsPath(), bytes);
  EXPECT_EQ(dumped.problems, 0) << dumped.text;
  EXPECT_THAT(dumped.text, HasSubstr("the next frame, not valid (yet): wrong checksum"));
}

TEST(DumpLogTest, ATruncatedLogIsSaidAndReadAsFarAsItGoes) {
  LogImage log(log::Direction::kRequests);
  std::vector<uint64_t> all;
  for (int call = 1; call <= 3; ++call) all.push_back(log.AddCall(call, "", "message"));
  log.SetFlushed();
  const std::string whole = log.Bytes();
  const size_t last = log.OffsetOf(log.end());
  for (size_t size = 0; size < last + 16; ++size) {
    // The head is the same all over, once its fields are there.
    if (size > log::kEncodedHeadSize + 8 && size < log::kHeadSize - 8) continue;
    const Dumped dumped = Dump(RequestsPath(), absl::string_view(whole).substr(0, size));
    ASSERT_GE(dumped.problems, 1) << size;
    ASSERT_THAT(dumped.text, HasSubstr(absl::StrCat("PROBLEM: at offset ", size, ": truncated")))
        << size;
    size_t left = 0;
    // A frame is whole without its padding.
    while (left < all.size() &&
           log.OffsetOf(all[left]) + log::kFrameHeaderSize + 4 + 2 + 7 <= size) {
      ++left;
    }
    ASSERT_THAT(PrintedPositions(dumped.text), ElementsAreArray(all.begin(), all.begin() + left))
        << size;
  }
}

TEST(DumpLogTest, TheLogOfAnotherSessionDoesNotPass) {
  LogImage log(log::Direction::kRequests);
  log.AddCall(1, "", "m");
  const std::string other = absl::StrCat("s/sessions/", std::string(32, 'a'), "/requests");
  EXPECT_THAT(Dump(other, log.Bytes()).text, HasSubstr("under the name of aaaa"));
  const std::string direction = absl::StrCat("s/sessions/", SessionName(), "/responses");
  EXPECT_THAT(Dump(direction, log.Bytes()).text, HasSubstr("where a response log belongs"));
}

TEST(DumpLogTest, PayloadsThatAreNoneAreProblems) {
  LogImage log(log::Direction::kRequests);
  log.Add(FrameType::kCall, 0, 1, "xyz");
  log.Add(FrameType::kGoodbye, 0, 0, "\xff\xff");
  log.Add(FrameType::kCancel, 0, 1, "", 512);
  log.Add(FrameType::kCancel, 0, 1, "", 8);
  const Dumped dumped = Dump(RequestsPath(), log.Bytes());
  EXPECT_EQ(dumped.problems, 3) << dumped.text;
  EXPECT_THAT(dumped.text, AllOf(HasSubstr("without a valid spoolrpc.wire.CallHeader"),
                                 HasSubstr("not a spoolrpc.wire.Goodbye"),
                                 HasSubstr("consumed falls from 512 to 8")));
}

}  // namespace
}  // namespace spoolrpc::cli
