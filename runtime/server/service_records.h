// What a server's record says of its services and their methods (docs/format.md, section 2).
#ifndef SPOOLRPC_SERVER_SERVICE_RECORDS_H_
#define SPOOLRPC_SERVER_SERVICE_RECORDS_H_

#include "absl/status/status.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/spool.pb.h"

namespace spoolrpc::server {

// Adds the services of `methods` to `record`. INVALID_ARGUMENT if they leave no room for the rest
// of it.
absl::Status AddServices(const MethodTable& methods, spool::ServerRecord* record);

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_SERVICE_RECORDS_H_
