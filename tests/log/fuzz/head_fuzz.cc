// DecodeHead() over arbitrary bytes. Input: flags (1: give it magic, version and a good checksum),
// the bytes.
#include <xxhash.h>

#include <string>

#include "spoolrpc/log/log_head.h"
#include "tests/fuzz/fuzz_input.h"

using namespace spoolrpc::log;  // NOLINT: a file of one function
using spoolrpc::fuzz::FuzzInput;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const bool repair = input.Take<uint8_t>() & 1;
  std::string bytes = input.TakeRest();
  if (repair && bytes.size() >= kEncodedHeadSize) {
    memcpy(bytes.data(), "SPOOLLOG\1\0", 10);
    const uint64_t checksum = XXH3_64bits(bytes.data(), 64);
    memcpy(&bytes[64], &checksum, sizeof(checksum));
  }
  const auto head = DecodeHead(bytes);
  if (!head.ok()) {
    FUZZ_CHECK(!head.status().message().empty());
    return 0;
  }
  FUZZ_CHECK(head->id.size() == 16);
  FUZZ_CHECK(head->direction == Direction::kLease
                 ? head->capacity == 0
                 : head->capacity >= kMinCapacity && head->capacity <= kMaxCapacity);
  FUZZ_CHECK(MaxFrameLength(head->capacity) <= kMaxFrameLength);
  const std::string again = EncodeHead(*head);
  FUZZ_CHECK(again.size() == kEncodedHeadSize);
  // All but the unused bytes, and so the checksum, comes back.
  FUZZ_CHECK(again.substr(0, 12) == bytes.substr(0, 12));
  FUZZ_CHECK(again.substr(16, 48) == bytes.substr(16, 48));
  FUZZ_CHECK(DecodeHead(again).ok());
  return 0;
}
