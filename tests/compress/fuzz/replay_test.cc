// Runs the fuzz target over its seed corpus and over random changes of it, as an ordinary test:
// replay_test CORPUS_FILE...
#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/seed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kChangesOfEach = 3000;

std::vector<std::string>* Corpus() {
  static auto* const files = new std::vector<std::string>;
  return files;
}

void RunOne(const std::string& bytes) {
  // An allocation of exactly this size, so that a sanitizer sees any step beyond.
  const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

// Flips, replaces, cuts out or repeats some bytes.
void Change(std::string* bytes, std::mt19937_64* random) {
  const size_t at = (*random)() % bytes->size();
  const size_t count = 1 + (*random)() % 8;
  switch ((*random)() % 4) {
    case 0:
      (*bytes)[at] ^= static_cast<char>(1 << (*random)() % 8);
      break;
    case 1:
      (*bytes)[at] = static_cast<char>((*random)());
      break;
    case 2:
      bytes->erase(at, count);
      break;
    case 3:
      bytes->insert(at, bytes->substr((*random)() % bytes->size(), count));
      break;
  }
}

TEST(CodecFuzzReplayTest, CorpusAndChangesOfIt) {
  ASSERT_FALSE(Corpus()->empty());
  std::mt19937_64 random(spoolrpc::testing::TestSeed());
  RunOne("");
  for (const std::string& path : *Corpus()) {
    std::ifstream in(path, std::ios::binary);
    const std::string seed{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    ASSERT_FALSE(seed.empty()) << path;
    RunOne(seed);
    for (int i = 0; i < kChangesOfEach; ++i) {
      std::string changed = seed;
      for (int changes = 1 + static_cast<int>(random() % 3); changes > 0 && !changed.empty();
           --changes) {
        Change(&changed, &random);
      }
      RunOne(changed);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  Corpus()->assign(argv + 1, argv + argc);
  return RUN_ALL_TESTS();
}
