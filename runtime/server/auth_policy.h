// Whose calls a server takes.
#ifndef SPOOLRPC_SERVER_AUTH_POLICY_H_
#define SPOOLRPC_SERVER_AUTH_POLICY_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "spoolrpc/server/peer_identity.h"

namespace spoolrpc {

// Narrows down whom the modes of the spool let in: its owner, or a group. What is allowed once
// holds as long as the client's session lasts; a durable call is looked at when a server takes it.
struct AuthPolicy {
  // Users who may call, and groups whose members may; both empty: everybody. A user is a member if
  // his files are of the group, or if the user database of the server's host says so, which is
  // asked then, on threads that keep leases: it should not take seconds.
  std::vector<uint32_t> allowed_uids;
  std::vector<uint32_t> allowed_gids;
  // If set, has the last word on those whom the lists allow: an error refuses, and its message is
  // shown to the client. Called on threads of the server, several at once, once for each session
  // and each durable call. Must not block.
  std::function<absl::Status(const PeerIdentity& peer)> callback;
};

namespace server {

// OK, or PERMISSION_DENIED with a message that goes on after "belongs to uid N, ".
absl::Status CheckPolicy(const AuthPolicy& policy, const PeerIdentity& peer);

}  // namespace server
}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_AUTH_POLICY_H_
