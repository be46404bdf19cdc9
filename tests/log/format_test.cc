// docs/format.md against the code: the worked bytes, and the checksum by the specification's own
// words, computed here without the runtime's helpers.
#include "spoolrpc/log/format.h"

#include <stdlib.h>
#include <xxhash.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "spoolrpc/log/frame.h"
#include "spoolrpc/log/log_head.h"
#include "tests/log/log_test_util.h"

namespace spoolrpc::log {
namespace {

std::string Document() {
  const char* const runfiles = getenv("TEST_SRCDIR");
  const char* const workspace = getenv("TEST_WORKSPACE");
  std::ifstream in(absl::StrCat(runfiles == nullptr ? "." : runfiles, "/",
                                workspace == nullptr ? "" : workspace, "/docs/format.md"));
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The part of the document between the heading that begins so, and the next heading.
std::string Section(const std::string& heading) {
  const std::string document = Document();
  const size_t begin = document.find(heading);
  if (begin == std::string::npos) return "";
  const size_t end = document.find("\n## ", begin + heading.size());
  return document.substr(begin, end == std::string::npos ? end : end - begin);
}

// The bytes of the document's block that begins with "offset N:": hex pairs up to two spaces and
// a word, or the line's end, on as many lines as follow without another offset.
std::string WorkedBytes(const std::string& label) {
  std::string bytes;
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(Section("## 5. Worked bytes"), '\n')) {
    if (absl::StartsWith(line, label)) {
      inside = true;
      line.remove_prefix(label.size());
    } else if (inside && !absl::StartsWith(line, " ")) {
      break;
    }
    if (!inside) continue;
    for (absl::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
      if (word.size() != 2 || !absl::ascii_isxdigit(word[0]) || !absl::ascii_isxdigit(word[1])) {
        break;
      }
      bytes += absl::HexStringToBytes(word);
    }
  }
  return bytes;
}

std::string Seal(FrameType type, uint8_t flags, uint64_t position, uint64_t sequence, uint64_t call,
                 const std::string& payload) {
  std::string frame(AlignFrame(kFrameHeaderSize + payload.size()), '\0');
  frame.replace(kFrameHeaderSize, payload.size(), payload);
  SealFrame(FrameKey(TestId(), Direction::kRequests), type, flags, position, sequence, 0, call,
            kFrameHeaderSize + payload.size(), frame.data());
  return frame;
}

uint64_t Integer(const std::string& bytes, size_t offset) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

TEST(WorkedBytes, AreThoseOfTheDocument) {
  const std::string cancel = Seal(FrameType::kCancel, 0, 0, 1, 7, "");
  EXPECT_EQ(absl::BytesToHexString(WorkedBytes("offset 4096:")), absl::BytesToHexString(cancel));
  const std::string data = Seal(FrameType::kData, kMore, 40, 2, 8, "abc");
  EXPECT_EQ(absl::BytesToHexString(WorkedBytes("offset 4136:")), absl::BytesToHexString(data));

  LogHead head = TestHead();
  head.counter = 1;
  head.flushed = 88;
  EXPECT_EQ(absl::BytesToHexString(WorkedBytes("offset 0:")),
            absl::BytesToHexString(EncodeHead(head)));
}

TEST(WorkedBytes, KeySeedAndChecksumFollowTheSpecification) {
  std::string key_input = TestId();
  key_input.push_back(0);  // requests
  const uint64_t key = XXH3_64bits(key_input.data(), key_input.size());
  const std::string cancel = Seal(FrameType::kCancel, 0, 0, 1, 7, "");
  const std::string data = Seal(FrameType::kData, kMore, 40, 2, 8, "abc");
  const auto seed = [&](const std::string& frame, uint64_t position) {
    return key ^ (position * 0x9E3779B97F4A7C15u) ^ (Integer(frame, 0) * 0xC2B2AE3D27D4EB4Fu);
  };
  EXPECT_EQ(Integer(cancel, 8), XXH3_64bits_withSeed(cancel.data() + 16, 40 - 16, seed(cancel, 0)));
  EXPECT_EQ(Integer(data, 8), XXH3_64bits_withSeed(data.data() + 16, 43 - 16, seed(data, 40)));

  // The numbers as the document prints them.
  const std::string section = Section("## 5. Worked bytes");
  EXPECT_TRUE(absl::StrContains(section, absl::StrFormat("0x%016X", key)))
      << absl::StrFormat("key 0x%016X", key);
  for (const uint64_t number : {seed(cancel, 0), seed(data, 40)}) {
    EXPECT_TRUE(absl::StrContains(section, absl::StrFormat("0x%016X", number)))
        << absl::StrFormat("seed 0x%016X", number);
  }
}

TEST(Constants, AreThoseOfTheDocument) {
  const std::string log_files = Section("## 4. Log files");
  EXPECT_TRUE(absl::StrContains(log_files, absl::StrCat("head   := ", kHeadSize, " bytes")));
  EXPECT_TRUE(absl::StrContains(log_files, absl::StrCat(kMinCapacity, " to 1 GiB")));
  EXPECT_EQ(kMaxCapacity, 1u << 30);
  EXPECT_TRUE(
      absl::StrContains(log_files, absl::StrCat("the file is ", kLeaseFileSize / 1024, " KiB")));
  EXPECT_TRUE(absl::StrContains(log_files, absl::StrCat("at least ", kControlReserve, " bytes")));
  const std::string frames = Section("## 3. Frames");
  EXPECT_TRUE(absl::StrContains(frames, absl::StrCat(kFrameHeaderSize, "-byte header")));
  EXPECT_TRUE(absl::StrContains(frames, absl::StrCat("min(", kMaxFrameLength, ", capacity / 4)")));
  EXPECT_TRUE(absl::StrContains(frames, absl::StrCat("multiple of ", kFrameAlignment)));
  const std::pair<FrameType, const char*> kTypes[] = {
      {FrameType::kCall, "CALL"},       {FrameType::kAck, "ACK"},
      {FrameType::kData, "DATA"},       {FrameType::kReply, "REPLY"},
      {FrameType::kCancel, "CANCEL"},   {FrameType::kConsumed, "CONSUMED"},
      {FrameType::kGoodbye, "GOODBYE"}, {FrameType::kPad, "PAD"},
  };
  for (const auto& [type, name] : kTypes) {
    EXPECT_TRUE(absl::StrContains(frames, absl::StrCat("| ", type, " | ", name, " |"))) << name;
  }
  const std::pair<FrameFlags, const char*> kFlags[] = {
      {kMore, "MORE"}, {kAcked, "ACKED"}, {kSkippable, "SKIPPABLE"}};
  for (const auto& [flag, name] : kFlags) {
    EXPECT_TRUE(absl::StrContains(frames, absl::StrFormat("| 0x%02x | %s |", flag, name))) << name;
  }
}

}  // namespace
}  // namespace spoolrpc::log
