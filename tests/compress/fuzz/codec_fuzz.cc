// Decompress() over arbitrary bytes, and round trips of them. Input: flags (1: compress the bytes
// and decompress that), what is allowed:u16 in units of 16 bytes, the bytes.
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "spoolrpc/compress/message_codec.h"
#include "tests/fuzz/fuzz_input.h"

using spoolrpc::compress::Compress;
using spoolrpc::compress::Decompress;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const bool round_trip = data[0] & 1;
  const size_t max_size = (data[1] | size_t{data[2]} << 8) * 16;
  const std::string bytes(reinterpret_cast<const char*>(data) + 3, size - 3);
  if (round_trip) {
    std::string compressed = "what was there before";
    FUZZ_CHECK(Compress(bytes, &compressed).ok());
    const absl::StatusOr<std::string> back = Decompress(compressed, bytes.size());
    FUZZ_CHECK(back.ok() && *back == bytes);
    if (!bytes.empty()) {
      FUZZ_CHECK(absl::IsResourceExhausted(Decompress(compressed, bytes.size() - 1).status()));
    }
    return 0;
  }
  const absl::StatusOr<std::string> content = Decompress(bytes, max_size);
  if (content.ok()) {
    FUZZ_CHECK(content->size() <= max_size);
    // What is allowed decides only whether it is refused.
    const absl::StatusOr<std::string> again = Decompress(bytes, content->size());
    FUZZ_CHECK(again.ok() && *again == *content);
  } else {
    FUZZ_CHECK(absl::IsInvalidArgument(content.status()) || absl::IsDataLoss(content.status()) ||
               absl::IsResourceExhausted(content.status()));
    FUZZ_CHECK(!content.status().message().empty());
  }
  return 0;
}
