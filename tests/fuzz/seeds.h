// What the programs share that write seed corpora.
#ifndef SPOOLRPC_TESTS_FUZZ_SEEDS_H_
#define SPOOLRPC_TESTS_FUZZ_SEEDS_H_

#include <filesystem>
#include <fstream>
#include <string>

namespace spoolrpc::fuzz {

// As FuzzInput::Take() reads it.
template <class T>
std::string Bytes(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

inline void Save(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace spoolrpc::fuzz

#endif  // SPOOLRPC_TESTS_FUZZ_SEEDS_H_
