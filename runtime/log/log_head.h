// The head of a log file: who writes it, and the writer's lease (docs/format.md, section 4).
#ifndef SPOOLRPC_LOG_LOG_HEAD_H_
#define SPOOLRPC_LOG_LOG_HEAD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/log/format.h"

namespace spoolrpc::log {

struct LogHead {
  Direction direction = Direction::kRequests;
  WriterState state = WriterState::kOpen;
  std::string id;         // 16 bytes
  uint64_t capacity = 0;  // of the ring
  uint64_t counter = 0;   // the lease
  uint64_t flushed = 0;   // position
  uint64_t term_ns = 0;
};

// The fields and their checksum: the first 72 bytes of a head.
constexpr size_t kEncodedHeadSize = 72;
std::string EncodeHead(const LogHead& head);

// `bytes` holds at least 72 bytes of a head. FAILED_PRECONDITION for another format version, whose
// number the message names; DATA_LOSS for anything else that is wrong, which may be a torn write.
absl::StatusOr<LogHead> DecodeHead(absl::string_view bytes);

}  // namespace spoolrpc::log

#endif  // SPOOLRPC_LOG_LOG_HEAD_H_
