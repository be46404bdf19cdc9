// Runs a fuzz target over its seed corpus and over random changes of it, as an ordinary test.
//
//   replay CORPUS_FILE...
#include <stdio.h>

#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "tests/testing/seed.h"

namespace {

constexpr int kChangesOfEach = 2000;

void RunOne(const std::string& bytes) {
  // An allocation of exactly this size, so that a sanitizer sees any step beyond.
  const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

std::string Change(std::string bytes, std::mt19937_64& random) {
  for (int changes = 1 + random() % 4; changes > 0; --changes) {
    if (bytes.empty()) bytes.push_back(static_cast<char>(random()));
    const size_t at = random() % bytes.size();
    switch (random() % 5) {
      case 0:
        bytes[at] ^= static_cast<char>(1 << random() % 8);
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 64));
        break;
      case 4:
        bytes.insert(at, std::string(random() % 16, random() % 2 ? '\xff' : '\0'));
        break;
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  std::mt19937_64 random(spoolrpc::testing::TestSeed());
  for (int i = 1; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    if (!in || text.str().empty()) {
      fprintf(stderr, "%s: cannot be read, or is empty\n", argv[i]);
      return 1;
    }
    RunOne(text.str());
    for (int round = 0; round < kChangesOfEach; ++round) RunOne(Change(text.str(), random));
  }
  RunOne("");
  printf("%d files of the corpus and %d changes of each\n", argc - 1, kChangesOfEach);
  return argc > 1 ? 0 : 1;
}
