#include "spoolrpc/server/auth_policy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "spoolrpc/os/users.h"

namespace spoolrpc::server {
namespace {

bool IsListed(const AuthPolicy& policy, const PeerIdentity& peer) {
  const auto& uids = policy.allowed_uids;
  const auto& gids = policy.allowed_gids;
  if (uids.empty() && gids.empty()) return true;
  return std::find(uids.begin(), uids.end(), peer.uid) != uids.end() ||
         std::any_of(gids.begin(), gids.end(),
                     [&](uint32_t gid) { return gid == peer.gid || os::IsMember(peer.uid, gid); });
}

}  // namespace

absl::Status CheckPolicy(const AuthPolicy& policy, const PeerIdentity& peer) {
  if (!IsListed(policy, peer)) {
    return absl::PermissionDeniedError(absl::StrCat(
        "which the server's policy does not allow (uids: ",
        absl::StrJoin(policy.allowed_uids, ", "), "; gids: ",
        absl::StrJoin(policy.allowed_gids, ", "), "); ask whoever runs the server to add it"));
  }
  if (policy.callback == nullptr) return absl::OkStatus();
  const absl::Status said = policy.callback(peer);
  if (said.ok()) return said;
  return absl::PermissionDeniedError(
      absl::StrCat("which the server's policy does not allow: ", said.message()));
}

}  // namespace spoolrpc::server
