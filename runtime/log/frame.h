// One frame: its header, and when it is valid (docs/format.md, section 3).
#ifndef SPOOLRPC_LOG_FRAME_H_
#define SPOOLRPC_LOG_FRAME_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "spoolrpc/log/format.h"

namespace spoolrpc::log {

// Seeds the checksums of one log.
class FrameKey {
 public:
  // `session_id` has 16 bytes.
  FrameKey(absl::string_view session_id, Direction direction);

  // The checksum of the frame of `length` bytes (at least 40) at `frame`, which lies at `position`.
  uint64_t Checksum(const char* frame, size_t length, uint64_t position) const;
  // What all seeds of the session and direction are made of.
  uint64_t value() const { return key_; }

 private:
  uint64_t key_;
};

// What a reader gets of a frame. `payload` points into the buffer that it was decoded from.
struct Frame {
  FrameType type;
  uint8_t flags;
  uint64_t position;
  uint64_t sequence;
  uint64_t consumed;
  uint64_t call;
  absl::string_view payload;
};

// Writes the header of a frame whose payload, `length` - 40 bytes, already stands behind it at
// `frame` + 40 (for kPad there is none).
void SealFrame(const FrameKey& key, FrameType type, uint8_t flags, uint64_t position,
               uint64_t sequence, uint64_t consumed, uint64_t call, size_t length, char* frame);

enum class DecodeResult {
  kValid,
  kShort,     // plausible so far, but `available` bytes do not hold all of it
  kNotValid,  // zeros, an older lap, torn, damaged: not there yet
};

// Decodes the frame at `bytes`, of which `available` are at hand. `room` is how many bytes the ring
// has left from `position` to its end. `*length` is set for kValid and kShort.
DecodeResult DecodeFrame(const FrameKey& key, const char* bytes, size_t available, uint64_t room,
                         size_t max_length, uint64_t position, uint64_t sequence, Frame* frame,
                         size_t* length);

}  // namespace spoolrpc::log

#endif  // SPOOLRPC_LOG_FRAME_H_
