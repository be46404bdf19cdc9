// Who calls, as far as that is known for certain.
#ifndef SPOOLRPC_SERVER_PEER_IDENTITY_H_
#define SPOOLRPC_SERVER_PEER_IDENTITY_H_

#include <cstdint>

namespace spoolrpc {

// Of the files in which the call came, by the word of the kernel (or of the file server): never
// what the client has written in them.
struct PeerIdentity {
  uint32_t uid = 0;
  // The group of those files, to which the user belongs: in a group's spool that group.
  uint32_t gid = 0;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_PEER_IDENTITY_H_
