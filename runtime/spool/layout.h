// Names in a spool (docs/format.md, section 1).
#ifndef SPOOLRPC_SPOOL_LAYOUT_H_
#define SPOOLRPC_SPOOL_LAYOUT_H_

#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace spoolrpc::spool {

constexpr uint32_t kSpoolFormatVersion = 1;
constexpr uint32_t kProtocolVersion = 1;
constexpr uint32_t kMinProtocolVersion = 1;
constexpr char kSoftwareVersion[] = "0.1.0";
// How this version can take messages, as records say it.
constexpr char kZstdEncoding[] = "zstd";
// The version of references to bulk buffers that this software understands (docs/format.md, 9).
constexpr uint32_t kBulkVersion = 1;
constexpr size_t kIdSize = 16;  // bytes of server and session ids
// A directory is touched again so long after a name was published in it (docs/protocol.md, 2), in
// nanoseconds.
constexpr int64_t kTouchAfter = 20'000'000;

constexpr char kFormatFile[] = "format";
constexpr char kServers[] = "servers";
constexpr char kSessions[] = "sessions";
constexpr char kLogs[] = "logs";
constexpr char kRecord[] = "record";
constexpr char kLease[] = "lease";
constexpr char kDoorbell[] = "doorbell";
constexpr char kInbox[] = "inbox";
constexpr char kVerdicts[] = "verdicts";
constexpr char kRequests[] = "requests";
constexpr char kResponses[] = "responses";
constexpr char kBulk[] = "bulk.";  // with a number behind it
constexpr char kDurable[] = "durable";
constexpr char kCall[] = "call";
constexpr char kClaim[] = "claim.";  // with a number behind it
constexpr char kStarted[] = "started";
constexpr char kReply[] = "reply";
constexpr char kRetention[] = "retention";
constexpr char kStop[] = "stop.";            // with a number behind it
constexpr char kExclusive[] = "exclusive.";  // with a number behind it

inline std::string Join(absl::string_view a, absl::string_view b) {
  return absl::StrCat(a, "/", b);
}

inline std::string IdName(absl::string_view id) { return absl::BytesToHexString(id); }

// Sets `*id` to the 16 bytes that `name` spells in lower-case hex; false for any other name.
inline bool ParseIdName(absl::string_view name, std::string* id) {
  if (name.size() != 2 * kIdSize ||
      name.find_first_not_of("0123456789abcdef") != absl::string_view::npos) {
    return false;
  }
  *id = absl::HexStringToBytes(name);
  return true;
}

// The highest number that a name may end in; nothing of one server or call comes so far.
constexpr uint32_t kMaxNumber = 1000000;

// The number behind `prefix` in a name such as "claim.3", from 1 to kMaxNumber; 0 for any other
// name.
inline uint32_t NumberBehind(absl::string_view prefix, absl::string_view name) {
  uint32_t number = 0;
  if (!absl::ConsumePrefix(&name, prefix) || name.empty() || name[0] == '0' ||
      name.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(name, &number) || number > kMaxNumber) {
    return 0;
  }
  return number;
}

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_LAYOUT_H_
