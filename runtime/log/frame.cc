#include "spoolrpc/log/frame.h"

#include <string.h>
#include <xxhash.h>

#include <string>

namespace spoolrpc::log {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the codecs copy integers as they are; add byte swaps for this machine");

// Offsets within the header.
constexpr size_t kTypeOffset = 4;
constexpr size_t kFlagsOffset = 5;
constexpr size_t kZeroOffset = 6;
constexpr size_t kChecksumOffset = 8;
constexpr size_t kSequenceOffset = 16;
constexpr size_t kConsumedOffset = 24;
constexpr size_t kCallOffset = 32;

template <class T>
T Load(const char* from) {
  T value;
  memcpy(&value, from, sizeof(value));
  return value;
}

template <class T>
void Store(T value, char* to) {
  memcpy(to, &value, sizeof(value));
}

// A PAD's payload is not written.
size_t CheckedLength(uint8_t type, size_t length) {
  return type == static_cast<uint8_t>(FrameType::kPad) ? kFrameHeaderSize : length;
}

}  // namespace

FrameKey::FrameKey(absl::string_view session_id, Direction direction) {
  std::string input(session_id);
  input.push_back(static_cast<char>(direction));
  key_ = XXH3_64bits(input.data(), input.size());
}

uint64_t FrameKey::Checksum(const char* frame, size_t length, uint64_t position) const {
  const uint64_t seed =
      key_ ^ (position * 0x9E3779B97F4A7C15ull) ^ (Load<uint64_t>(frame) * 0xC2B2AE3D27D4EB4Full);
  return XXH3_64bits_withSeed(frame + kSequenceOffset, length - kSequenceOffset, seed);
}

void SealFrame(const FrameKey& key, FrameType type, uint8_t flags, uint64_t position,
               uint64_t sequence, uint64_t consumed, uint64_t call, size_t length, char* frame) {
  Store<uint32_t>(static_cast<uint32_t>(length), frame);
  Store<uint8_t>(static_cast<uint8_t>(type), frame + kTypeOffset);
  Store<uint8_t>(flags, frame + kFlagsOffset);
  Store<uint16_t>(0, frame + kZeroOffset);
  Store<uint64_t>(sequence, frame + kSequenceOffset);
  Store<uint64_t>(consumed, frame + kConsumedOffset);
  Store<uint64_t>(call, frame + kCallOffset);
  const size_t checked = CheckedLength(static_cast<uint8_t>(type), length);
  Store<uint64_t>(key.Checksum(frame, checked, position), frame + kChecksumOffset);
}

DecodeResult DecodeFrame(const FrameKey& key, const char* bytes, size_t available, uint64_t room,
                         size_t max_length, uint64_t position, uint64_t sequence, Frame* frame,
                         size_t* length) {
  if (available < kFrameHeaderSize) {
    *length = kFrameHeaderSize;
    return room < kFrameHeaderSize ? DecodeResult::kNotValid : DecodeResult::kShort;
  }
  const uint32_t whole = Load<uint32_t>(bytes);
  if (whole < kFrameHeaderSize || whole > max_length || whole > room ||
      Load<uint16_t>(bytes + kZeroOffset) != 0 ||
      Load<uint64_t>(bytes + kSequenceOffset) != sequence) {
    return DecodeResult::kNotValid;
  }
  *length = whole;
  const uint8_t type = Load<uint8_t>(bytes + kTypeOffset);
  const size_t checked = CheckedLength(type, whole);
  if (available < checked) return DecodeResult::kShort;
  if (Load<uint64_t>(bytes + kChecksumOffset) != key.Checksum(bytes, checked, position)) {
    return DecodeResult::kNotValid;
  }
  frame->type = static_cast<FrameType>(type);
  frame->flags = Load<uint8_t>(bytes + kFlagsOffset);
  frame->position = position;
  frame->sequence = sequence;
  frame->consumed = Load<uint64_t>(bytes + kConsumedOffset);
  frame->call = Load<uint64_t>(bytes + kCallOffset);
  frame->payload = absl::string_view(bytes + kFrameHeaderSize, checked - kFrameHeaderSize);
  return DecodeResult::kValid;
}

}  // namespace spoolrpc::log
