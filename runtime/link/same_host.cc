#include "spoolrpc/link/same_host.h"

#include <unistd.h>

#include <algorithm>

#include "spoolrpc/spool/layout.h"

namespace spoolrpc::link {
namespace {

// Beside two messages of the largest size, one under way and one that is made.
constexpr uint64_t kSlack = uint64_t{64} << 20;

uint64_t LimitFor(uint64_t largest) { return 2 * std::min(largest, kMaxBulkLength) + kSlack; }

log::Direction Other(log::Direction direction) {
  return direction == log::Direction::kRequests ? log::Direction::kResponses
                                                : log::Direction::kRequests;
}

}  // namespace

void SetUpSameHost(const SameHostSides& sides, LinkOptions* link) {
  if (!os::SameHost(sides.env.host->Self(), sides.peer)) return;
  // (Who offers buffers is on a local file system; an older peer may not be.)
  if (sides.peer_bulk_version < 1) return;
  if (link->writer != nullptr) link->writer->AllowMapping();
  // (Another user's files are never mapped.)
  if (link->reader != nullptr && sides.peer_uid == geteuid()) link->reader->AllowMapping();
  BulkPoolOptions pool;
  pool.env = sides.env;
  pool.keep_alive = sides.keep_alive;
  pool.directory = sides.own_half;
  pool.session_id = sides.session_id;
  pool.direction = sides.own_direction;
  pool.file_mode = sides.file_mode;
  pool.threshold = sides.threshold;
  pool.limit = LimitFor(sides.max_send);
  link->bulk_out = std::make_shared<BulkPool>(std::move(pool));
  BulkReaderOptions reader;
  reader.env = sides.env;
  reader.keep_alive = sides.keep_alive;
  reader.directory = sides.peer_half;
  reader.session_id = sides.session_id;
  reader.direction = Other(sides.own_direction);
  reader.owner = sides.peer_uid;
  reader.keep_bytes = LimitFor(sides.max_receive);
  link->bulk_in = std::make_shared<BulkReader>(std::move(reader));
}

}  // namespace spoolrpc::link
