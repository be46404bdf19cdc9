// What two sides on one host and a local file system can do: map logs, and send large messages
// through bulk buffers.
#ifndef SPOOLRPC_LINK_SAME_HOST_H_
#define SPOOLRPC_LINK_SAME_HOST_H_

#include <cstdint>
#include <memory>
#include <string>

#include "spoolrpc/link/session_link.h"
#include "spoolrpc/log/format.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/os/host.h"

namespace spoolrpc::link {

// Messages of at least so many bytes go through bulk buffers, unless a program says otherwise.
constexpr size_t kUsualBulkThreshold = size_t{256} << 10;

struct SameHostSides {
  os::Environment env;
  // Programs may keep messages when session, channel and server are gone: what env.calls needs.
  std::shared_ptr<const void> keep_alive;
  std::string session_id;
  log::Direction own_direction = log::Direction::kRequests;
  std::string own_half;
  std::string peer_half;
  uint32_t peer_uid = 0;
  // What the peer's record says: the version of references that it understands, and its process.
  uint32_t peer_bulk_version = 0;
  os::ProcessId peer;
  uint32_t file_mode = 0600;
  size_t threshold = kUsualBulkThreshold;
  // The largest messages, in bytes.
  uint64_t max_send = 0;
  uint64_t max_receive = 0;
};

// For links on a local file system (which is for the caller to know): if the peer is on this host
// and offers to take references, the logs may be mapped (log::LogBytes), and the link gets its bulk
// buffers. Touches no file.
void SetUpSameHost(const SameHostSides& sides, LinkOptions* link);

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_SAME_HOST_H_
