// Frames in words: their types, their flags, and the headers that their payloads begin with.
#ifndef SPOOLRPC_CLI_FRAME_TEXT_H_
#define SPOOLRPC_CLI_FRAME_TEXT_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "spoolrpc/log/frame.h"

namespace spoolrpc::cli {

// "CALL", "DATA", ..., or "type 9".
std::string FrameTypeName(log::FrameType type);
// "MORE ACKED", or empty; bits without a name in hex.
std::string FrameFlags(uint8_t flags);

// Reads the payloads of one log's frames in their order: what a DATA or REPLY holds depends on the
// frames before it. Not thread-safe.
class PayloadText {
 public:
  explicit PayloadText(log::Direction direction) : direction_(direction) {}

  // The payload of the next frame in words: decoded headers, sizes of messages. Sets `*wrong` to
  // what is wrong with it, if something is.
  std::string Describe(const log::Frame& frame, std::string* wrong);
  // Frames are missing before the next one: a message may go on of which the beginning is not
  // there.
  void OnMissing();

 private:
  std::string DescribeReply(absl::string_view payload, uint8_t flags, std::string* wrong);

  const log::Direction direction_;
  // Calls whose message goes on in DATA frames.
  std::set<uint64_t> open_;
  bool missing_ = false;
};

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_FRAME_TEXT_H_
