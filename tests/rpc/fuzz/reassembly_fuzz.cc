// A message that arrives in frames. Input: limit:u16, then frames: length:u16 and so many bytes (no
// more than there are).
#include "spoolrpc/rpc/reassembly.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spoolrpc::fuzz::FuzzInput input(data, size);
  const uint16_t limit = input.Take<uint16_t>();
  spoolrpc::rpc::Reassembly message(limit);
  std::string all;
  while (!input.empty()) {
    const uint16_t length = input.Take<uint16_t>();
    const std::string frame = input.TakeString(length);
    all += frame;
    const bool fits = message.Add(frame);
    FUZZ_CHECK(fits == (all.size() <= limit));
    FUZZ_CHECK(message.overflowed() == !fits);
    FUZZ_CHECK(message.seen() == all.size());
    FUZZ_CHECK(message.bytes() == (fits ? all : ""));
    // Memory grows with what has come, and goes once it is too much.
    FUZZ_CHECK(message.bytes().capacity() <= (fits ? 2 * all.size() + 64 : 64));
  }
  return 0;
}
