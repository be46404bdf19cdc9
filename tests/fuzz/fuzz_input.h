// Turns a fuzzer's bytes into numbers and strings. What is asked for beyond the end is zero or
// empty.
#ifndef SPOOLRPC_TESTS_FUZZ_FUZZ_INPUT_H_
#define SPOOLRPC_TESTS_FUZZ_FUZZ_INPUT_H_

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

// What must hold for every input; a fuzzer keeps the input for which it does not.
#define FUZZ_CHECK(condition)                                                        \
  do {                                                                               \
    if (!(condition)) {                                                              \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                       \
    }                                                                                \
  } while (false)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace spoolrpc::fuzz {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size)
      : data_(reinterpret_cast<const char*>(data)), left_(size) {}

  bool empty() const { return left_ == 0; }

  template <class T>
  T Take() {
    T value = 0;
    const size_t count = std::min(sizeof(value), left_);
    if (count > 0) memcpy(&value, data_, count);
    data_ += count;
    left_ -= count;
    return value;
  }
  std::string TakeString(size_t count) {
    count = std::min(count, left_);
    std::string taken(data_, count);
    data_ += count;
    left_ -= count;
    return taken;
  }
  std::string TakeRest() { return TakeString(left_); }

 private:
  const char* data_;
  size_t left_;
};

}  // namespace spoolrpc::fuzz

#endif  // SPOOLRPC_TESTS_FUZZ_FUZZ_INPUT_H_
