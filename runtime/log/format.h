// The numbers of the log format (docs/format.md, sections 3 and 4). Changing one changes the
// format.
#ifndef SPOOLRPC_LOG_FORMAT_H_
#define SPOOLRPC_LOG_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace spoolrpc::log {

constexpr uint16_t kFormatVersion = 1;

constexpr size_t kHeadSize = 4096;         // of a log file, before its ring
constexpr size_t kFrameHeaderSize = 40;    // bytes
constexpr size_t kFrameAlignment = 8;      // frames begin at multiples of it
constexpr size_t kMaxFrameLength = 65536;  // header and payload
constexpr size_t kControlReserve = 4096;   // of the ring, that data frames leave free
constexpr uint64_t kMinCapacity = 65536;
constexpr uint64_t kMaxCapacity = uint64_t{1} << 30;
constexpr uint64_t kDefaultCapacity = 192 * 1024;
// Of a lease file, which has a head but no ring: some network file systems show changes of small
// files late.
constexpr uint64_t kLeaseFileSize = 68 * 1024;

enum class FrameType : uint8_t {
  kCall = 1,
  kAck = 2,
  kData = 3,
  kReply = 4,
  kCancel = 5,
  kConsumed = 6,
  kGoodbye = 7,
  kMessage = 8,
  kHalfClose = 9,
  kInitial = 10,
  kCredit = 11,
  kRelease = 12,
  kPad = 255,
};

enum FrameFlags : uint8_t {
  kMore = 0x01,
  kAcked = 0x02,
  kCompressed = 0x04,
  kBulk = 0x08,
  kSkippable = 0x80,
};

enum class Direction : uint8_t { kRequests = 0, kResponses = 1, kLease = 2 };

enum class WriterState : uint8_t { kOpen = 1, kDraining = 2, kClosed = 3 };

// Where the frame after one of `length` bytes at `position` begins, wraps aside.
constexpr uint64_t AlignFrame(uint64_t position) {
  return (position + kFrameAlignment - 1) & ~uint64_t{kFrameAlignment - 1};
}

// The longest frame of a ring of `capacity` bytes.
constexpr size_t MaxFrameLength(uint64_t capacity) {
  return capacity / 4 < kMaxFrameLength ? static_cast<size_t>(capacity / 4) : kMaxFrameLength;
}

}  // namespace spoolrpc::log

#endif  // SPOOLRPC_LOG_FORMAT_H_
