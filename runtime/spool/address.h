// Where a spool is.
#ifndef SPOOLRPC_SPOOL_ADDRESS_H_
#define SPOOLRPC_SPOOL_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spoolrpc::spool {

// The absolute path that `address` names: "spool:/path", "spool:///path" or a plain path. Empty:
// $SPOOLRPC_DIR, and without it ~/.cache/spoolrpc. INVALID_ARGUMENT for another scheme, a NUL byte,
// or if there is neither address nor $SPOOLRPC_DIR nor home directory.
absl::StatusOr<std::string> ResolveAddress(absl::string_view address);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_ADDRESS_H_
