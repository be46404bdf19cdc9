// Users and groups by their numbers, and what the host's user database says of them.
#ifndef SPOOLRPC_OS_USERS_H_
#define SPOOLRPC_OS_USERS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spoolrpc::os {

// Whether the id stands for nobody in particular: 65534, the kernel's overflow id, and the -1 and
// -2 of file servers that do not know whose a file is. Whoever such an id belongs to is not known.
bool IsNobody(uint32_t id);

// The functions below ask the user database, which may be on another host: they block as long as
// that takes. Thread-safe.

// The group of that name, or of that number. NOT_FOUND, FAILED_PRECONDITION for a group of
// nobody's.
absl::StatusOr<uint32_t> ResolveGroup(absl::string_view group);

// Whether the user database lists `uid` as a member of `gid`; false if it knows no such user.
bool IsMember(uint32_t uid, uint32_t gid);

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_USERS_H_
