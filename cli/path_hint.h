// What the format says of a file by where it lies (docs/format.md, section 1).
#ifndef SPOOLRPC_CLI_PATH_HINT_H_
#define SPOOLRPC_CLI_PATH_HINT_H_

#include <string>

#include "spoolrpc/log/format.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::cli {

struct PathHint {
  enum class Kind {
    kUnknown,
    kRecord,
    kLog,
    kDoorbell,
    kAnnouncement,
    kTextLog,
    kTemporary,
    kForeign
  };
  Kind kind = Kind::kUnknown;
  spool::RecordKind record = spool::RecordKind::kSpool;  // of kRecord
  log::Direction direction = log::Direction::kRequests;  // of kLog
  // The 16 bytes of the session's or server's id that the path spells, or empty.
  std::string id;
};

// Of a path with or without the spool's root before it.
PathHint HintOf(const std::string& path);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_PATH_HINT_H_
