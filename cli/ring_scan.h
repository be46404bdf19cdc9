// Finds the frames in a ring when nobody says where its writer is.
//
// A frame's checksum is seeded by its absolute position, so a frame tells its position to whoever
// tries: an offset of the ring lies at lap 0, 1, 2, ... of it, and the sequence number bounds the
// lap, since a frame has 40 to 65536 bytes. One frame found so is an anchor; everything else in the
// ring lies less than one lap before or after it.
#ifndef SPOOLRPC_CLI_RING_SCAN_H_
#define SPOOLRPC_CLI_RING_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/byte_source.h"
#include "spoolrpc/log/frame.h"

namespace spoolrpc::cli {

struct RingShape {
  std::string id;  // 16 bytes, of the session
  log::Direction direction = log::Direction::kRequests;
  uint64_t capacity = 0;  // a multiple of 4096, at least that
  // Where the writer's head says that it was, if the head is whole.
  std::optional<uint64_t> flushed;
};

// What a walk over a ring meets, in the order of positions.
class RingVisitor {
 public:
  virtual ~RingVisitor() = default;
  // A valid frame of `length` bytes. It is good until the function returns.
  virtual void OnFrame(const log::Frame& frame, size_t length) = 0;

  enum class Gap {
    kOverwritten,  // remains of frames that newer ones have partly replaced
    kDamaged,      // frames were there, as those after it or the writer's head show
  };
  // No valid frame begins from `begin` to before `end`. `reason`: what stands at `begin` instead.
  virtual void OnGap(uint64_t begin, uint64_t end, Gap gap, const std::string& reason) = 0;
};

// Not thread-safe.
class RingScan {
 public:
  // `source` must outlive it. `budget`: how many bytes may be hashed in looking for an anchor.
  RingScan(ByteSource* source, RingShape shape, uint64_t budget);

  // Looks for the frames; false: there is no valid one. Blocks as reading does, and computes for a
  // few seconds at most where frames are damaged.
  bool Find();
  // After Find(): the end of the newest frame, where the next one belongs.
  uint64_t end() const { return end_; }
  // How many places look like frames, but have no valid checksum anywhere; of a failed Find().
  size_t lookalikes() const { return lookalikes_; }

  // Visits all that is less than a lap older than the end, and the gap between it and the writer's
  // flushed mark.
  void Walk(RingVisitor* visitor);

  // In words, why no valid frame of that sequence number (0: any) lies at `position`.
  std::string Diagnose(uint64_t position, uint64_t sequence);
  // Something with a plausible frame header and this sequence number lies at `position`.
  bool LooksLikeFrame(uint64_t position, uint64_t sequence);
  // Bytes of the ring that are not zero; stops counting at `enough`.
  uint64_t CountNonzero(uint64_t enough);

 private:
  struct Candidate {
    uint64_t offset;  // in the ring
    size_t checked;   // bytes that its checksum covers
    uint64_t first_lap;
    uint64_t last_lap;
  };

  uint64_t FileOffset(uint64_t position) const;
  // The frame at `position` is valid, whatever its sequence number.
  bool DecodeAt(uint64_t position, log::Frame* frame, size_t* length);
  // Where the frame after one that ends at `end` begins.
  uint64_t NextFrameAt(uint64_t end) const;
  // From `position` on, in steps of 8: the next valid frame that begins before `limit`.
  std::optional<uint64_t> FindNext(uint64_t position, uint64_t limit);
  // What looks like a frame: each after the end of the one before it, or at every place.
  std::vector<Candidate> Candidates(bool hop);
  std::optional<uint64_t> FindAnchor(bool hop);
  // The position of the candidate, if its checksum agrees with any lap; takes from the budget.
  std::optional<uint64_t> Try(const Candidate& candidate, uint64_t limit);

  ByteSource* const source_;
  const RingShape shape_;
  const log::FrameKey key_;
  const size_t max_length_;
  const uint64_t budget_;
  uint64_t left_ = 0;  // of the budget, in one of the two passes of FindAnchor()
  uint64_t anchor_ = 0;
  uint64_t end_ = 0;
  size_t lookalikes_ = 0;
};

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_RING_SCAN_H_
