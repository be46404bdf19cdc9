// Ten thousand damaged files: whatever their bytes, a dump ends, prints nothing that a terminal
// would obey, and finds no fault exactly where the runtime's decoders find none. Run under the
// sanitizers too (tools/test.sh).
#include <algorithm>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "spoolrpc/log/log_head.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/cli/spool_files.h"
#include "tests/testing/seed.h"

namespace spoolrpc::cli {
namespace {

constexpr int kMutations = 10000;

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  size_t Below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  // A place in `bytes`: mostly where something stands, that is near the beginning or in a frame.
  size_t Place(const std::string& bytes) {
    switch (Below(4)) {
      case 0:
        return Below(std::min<size_t>(bytes.size(), 80));
      case 1:
        return bytes.size() > log::kHeadSize
                   ? log::kHeadSize + Below(std::min<size_t>(bytes.size() - log::kHeadSize, 400))
                   : Below(bytes.size());
      default:
        return Below(bytes.size());
    }
  }

  void Mutate(std::string* bytes) {
    const size_t at = Place(*bytes);
    const size_t left = bytes->size() - std::min(at, bytes->size());
    switch (Below(10)) {
      case 0:
      case 1:
        if (left > 0) (*bytes)[at] ^= static_cast<char>(1 << Below(8));
        break;
      case 2:
        if (left > 0) (*bytes)[at] = static_cast<char>(random_());
        break;
      case 3:
        bytes->resize(at);
        break;
      case 4:
        bytes->erase(at, Below(std::min<size_t>(left, 64)));
        break;
      case 5:
        bytes->insert(at, Below(64), static_cast<char>(random_()));
        break;
      case 6: {
        // An integer at which code likes to go wrong, in place of one.
        constexpr uint64_t kValues[] = {0,
                                        1,
                                        39,
                                        40,
                                        0x7fffffff,
                                        0xffffffff,
                                        uint64_t{1} << 63,
                                        ~uint64_t{0},
                                        65536,
                                        65537,
                                        4096,
                                        uint64_t{1} << 30};
        const uint64_t value = kValues[Below(std::size(kValues))];
        const size_t size = size_t{1} << Below(4);
        for (size_t i = 0; i < size && at / size * size + i < bytes->size(); ++i) {
          (*bytes)[at / size * size + i] = static_cast<char>(value >> (8 * i));
        }
        break;
      }
      case 7:
        std::fill(bytes->begin() + std::min(at, bytes->size()),
                  bytes->begin() + std::min(at + Below(5000), bytes->size()), '\0');
        break;
      case 8: {
        // A part of the file in another place.
        const std::string part = bytes->substr(Place(*bytes), Below(300));
        bytes->replace(at, std::min(part.size(), left), part);
        break;
      }
      case 9:
        for (size_t i = at; i < bytes->size() && i < at + 200; ++i) {
          (*bytes)[i] = static_cast<char>(random_());
        }
        break;
    }
  }

 private:
  std::mt19937_64 random_;
};

// The runtime would take a file of that kind as whole, its frames aside.
bool RuntimeAccepts(const SpoolFile& original, const std::string& bytes) {
  if (absl::StartsWith(original.bytes, "SPOOLLOG")) return log::DecodeHead(bytes).ok();
  if (!absl::StartsWith(original.bytes, "SPOOLREC")) return true;
  const auto kind = spool::PeekRecordKind(original.bytes);
  spool::SpoolRecord spool_record;
  spool::ServerRecord server;
  spool::SessionRecord session;
  spool::VerdictRecord verdict;
  spool::DurableCallRecord call;
  spool::DurableClaimRecord claim;
  spool::DurableStartedRecord started;
  spool::DurableReplyRecord reply;
  spool::RetentionRecord retention;
  spool::StopRecord stop;
  spool::ExclusiveRecord exclusive;
  google::protobuf::Message* const messages[] = {&spool_record, &server, &session,  &verdict,
                                                 &call,         &claim,  &started,  &reply,
                                                 &retention,    &stop,   &exclusive};
  absl::string_view body;
  if (*kind == spool::RecordKind::kDurableCall) {
    return spool::DecodeRecordFront(bytes, *kind, &call, &body).ok() &&
           spool::CheckBody(*kind, call.body(), body).ok();
  }
  if (*kind == spool::RecordKind::kDurableReply) {
    return spool::DecodeRecordFront(bytes, *kind, &reply, &body).ok() &&
           spool::CheckBody(*kind, reply.body(), body).ok();
  }
  return spool::DecodeRecord(bytes, *kind, messages[static_cast<int>(*kind) - 1]).ok();
}

bool HasControlCharacters(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f;
  });
}

TEST(DumpMutationTest, NothingThatAFileHoldsBreaksADump) {
  const uint64_t seed = testing::TestSeed();
  Mutator mutator(seed);
  const std::vector<SpoolFile> files = OneOfEach();
  DumpOptions options;
  // So that a hostile file costs a test no second.
  options.search_budget = uint64_t{8} << 20;
  int whole = 0;
  for (int i = 0; i < kMutations; ++i) {
    const SpoolFile& file = files[mutator.Below(files.size())];
    std::string bytes = file.bytes;
    for (size_t count = mutator.Below(6); count > 0; --count) mutator.Mutate(&bytes);
    options.payloads = mutator.Below(8) == 0;
    options.frames = mutator.Below(4) == 0 ? mutator.Below(5) : 1000;
    // Now and then where the path says nothing, or something else.
    const std::string path =
        mutator.Below(10) == 0 ? (mutator.Below(2) == 0 ? "file" : files[0].path) : file.path;
    const Dumped dumped = Dump(path, bytes, options);
    ASSERT_FALSE(dumped.text.empty()) << "mutation " << i;
    ASSERT_FALSE(HasControlCharacters(dumped.text)) << "mutation " << i;
    ASSERT_EQ(dumped.problems > 0, absl::StrContains(dumped.text, "PROBLEM"));
    if (path != file.path) continue;
    const bool accepts = RuntimeAccepts(file, bytes);
    if (dumped.problems == 0) {
      ++whole;
      ASSERT_TRUE(accepts) << "mutation " << i << " of " << file.path << "\n" << dumped.text;
    } else if (bytes == file.bytes) {
      ADD_FAILURE() << "whole, and yet: " << file.path << "\n" << dumped.text.substr(0, 2000);
    } else if (absl::StartsWith(file.bytes, "SPOOLREC")) {
      ASSERT_FALSE(accepts) << "mutation " << i << " of " << file.path << "\n" << dumped.text;
    }
  }
  // Of six files one was left as it was, at least; most others were not.
  EXPECT_GT(whole, kMutations / 12);
  EXPECT_LT(whole, kMutations / 2);
}

TEST(DumpMutationTest, RandomBytesUnderEveryName) {
  std::mt19937_64 random(testing::TestSeed());
  const std::vector<SpoolFile> files = OneOfEach();
  for (int i = 0; i < 500; ++i) {
    const SpoolFile& file = files[random() % files.size()];
    std::string bytes(random() % (i % 10 == 0 ? 200000 : 2000), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    // Half of them get past the magic.
    if (random() % 2 == 0) bytes.replace(0, 8, file.bytes.substr(0, 8));
    DumpOptions options;
    options.search_budget = uint64_t{8} << 20;
    const Dumped dumped = Dump(file.path, bytes, options);
    ASSERT_GE(dumped.problems, 1) << file.path;
    ASSERT_FALSE(HasControlCharacters(dumped.text));
  }
}

}  // namespace
}  // namespace spoolrpc::cli
