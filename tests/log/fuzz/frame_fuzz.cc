// DecodeFrame() over arbitrary bytes. Input: flags (1: give it a good checksum), room:u16,
// position / 8:u16, sequence:u16, the bytes.
#include <string>
#include <vector>

#include "spoolrpc/log/frame.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/log/log_test_util.h"

using namespace spoolrpc::log;  // NOLINT: a file of one function
using spoolrpc::fuzz::FuzzInput;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const bool repair = input.Take<uint8_t>() & 1;
  const uint64_t room = input.Take<uint16_t>();
  const uint64_t position = input.Take<uint16_t>() * uint64_t{8};
  const uint64_t sequence = input.Take<uint16_t>();
  const std::string rest = input.TakeRest();
  std::vector<char> bytes(rest.begin(), rest.end());
  const FrameKey key(TestId(), Direction::kRequests);
  constexpr size_t kMaxLength = 16384;

  uint32_t length = 0;
  if (repair && bytes.size() >= kFrameHeaderSize) {
    memcpy(&length, bytes.data(), sizeof(length));
    memset(bytes.data() + 6, 0, 2);
    memcpy(bytes.data() + 16, &sequence, sizeof(sequence));
    const size_t checked =
        static_cast<uint8_t>(bytes[4]) == static_cast<uint8_t>(FrameType::kPad) ? 40 : length;
    if (checked >= kFrameHeaderSize && checked <= bytes.size()) {
      const uint64_t checksum = key.Checksum(bytes.data(), checked, position);
      memcpy(bytes.data() + 8, &checksum, sizeof(checksum));
    }
  }

  Frame frame;
  size_t told = 0;
  switch (DecodeFrame(key, bytes.data(), bytes.size(), room, kMaxLength, position, sequence, &frame,
                      &told)) {
    case DecodeResult::kNotValid:
      break;
    case DecodeResult::kShort:
      FUZZ_CHECK(told >= kFrameHeaderSize && told <= room && told <= kMaxLength);
      FUZZ_CHECK(bytes.size() < told);
      break;
    case DecodeResult::kValid: {
      FUZZ_CHECK(told >= kFrameHeaderSize && told <= room && told <= kMaxLength);
      FUZZ_CHECK(frame.position == position && frame.sequence == sequence);
      if (frame.type == FrameType::kPad) {
        FUZZ_CHECK(frame.payload.empty());
      } else {
        FUZZ_CHECK(told <= bytes.size());
        FUZZ_CHECK(frame.payload.data() == bytes.data() + kFrameHeaderSize);
        FUZZ_CHECK(frame.payload.size() == told - kFrameHeaderSize);
      }
      // Nothing of the header is lost: sealing what was decoded gives the same bytes.
      std::vector<char> again = bytes;
      memset(again.data(), 0, kFrameHeaderSize);
      SealFrame(key, frame.type, frame.flags, position, sequence, frame.consumed, frame.call, told,
                again.data());
      FUZZ_CHECK(again == bytes);
      break;
    }
  }
  return 0;
}
