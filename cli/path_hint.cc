#include "cli/path_hint.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "spoolrpc/spool/layout.h"

namespace spoolrpc::cli {

PathHint HintOf(const std::string& path) {
  using Kind = PathHint::Kind;
  const std::vector<absl::string_view> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  // The name, and the directories above it.
  const auto part = [&](size_t up) {
    return up < parts.size() ? parts[parts.size() - 1 - up] : absl::string_view();
  };
  const absl::string_view name = part(0);
  PathHint hint;
  spool::ParseIdName(part(1), &hint.id);
  if (absl::StartsWith(name, ".tmp-")) {
    hint.kind = Kind::kTemporary;
  } else if (absl::StartsWith(name, ".")) {
    hint.kind = Kind::kForeign;
  } else if (name == spool::kFormatFile) {
    hint.kind = Kind::kRecord;
    hint.record = spool::RecordKind::kSpool;
    hint.id.clear();
  } else if (name == spool::kRecord) {
    hint.kind = Kind::kRecord;
    hint.record =
        part(2) == spool::kServers ? spool::RecordKind::kServer : spool::RecordKind::kSession;
  } else if (part(1) == spool::kVerdicts) {
    hint.kind = Kind::kRecord;
    hint.record = spool::RecordKind::kVerdict;
    spool::ParseIdName(name, &hint.id);
  } else if (part(2) == spool::kDurable && !hint.id.empty()) {
    hint.kind = Kind::kRecord;
    if (name == spool::kCall) {
      hint.record = spool::RecordKind::kDurableCall;
    } else if (absl::StartsWith(name, spool::kClaim)) {
      hint.record = spool::RecordKind::kDurableClaim;
    } else if (name == spool::kStarted) {
      hint.record = spool::RecordKind::kDurableStarted;
    } else if (name == spool::kReply) {
      hint.record = spool::RecordKind::kDurableReply;
    } else {
      hint.kind = Kind::kUnknown;
    }
  } else if (part(1) == spool::kDurable && name == spool::kRetention) {
    hint.kind = Kind::kRecord;
    hint.record = spool::RecordKind::kRetention;
  } else if (name == spool::kLease) {
    hint.kind = Kind::kLog;
    hint.direction = log::Direction::kLease;
  } else if (name == spool::kRequests || name == spool::kResponses) {
    hint.kind = Kind::kLog;
    hint.direction =
        name == spool::kRequests ? log::Direction::kRequests : log::Direction::kResponses;
  } else if (name == spool::kDoorbell) {
    hint.kind = Kind::kDoorbell;
  } else if (part(1) == spool::kServers && spool::NumberBehind(spool::kExclusive, name) > 0) {
    hint.kind = Kind::kRecord;
    hint.record = spool::RecordKind::kExclusive;
  } else if (part(1) == spool::kInbox && spool::NumberBehind(spool::kStop, name) > 0) {
    hint.kind = Kind::kRecord;
    hint.record = spool::RecordKind::kStop;
    hint.id.clear();
    spool::ParseIdName(part(2), &hint.id);
  } else if (part(1) == spool::kInbox) {
    hint.kind = Kind::kAnnouncement;
    spool::ParseIdName(name.substr(0, name.rfind('.')), &hint.id);
  } else if (part(1) == spool::kLogs && absl::EndsWith(name, ".log")) {
    hint.kind = Kind::kTextLog;
  }
  return hint;
}

}  // namespace spoolrpc::cli
