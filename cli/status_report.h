// The two forms of what `spoolrpc status` prints.
#ifndef SPOOLRPC_CLI_STATUS_REPORT_H_
#define SPOOLRPC_CLI_STATUS_REPORT_H_

#include <string>

#include "google/protobuf/message.h"
#include "spoolrpc/spool/query.h"
#include "spoolrpc/status.pb.h"

namespace spoolrpc::cli {

// For people: a table of the servers, one of their sessions, and what is wrong.
std::string StatusText(const SpoolStatus& status);

// For scripts. `exists`: there is a spool; `live`: the server that was asked for is there.
StatusDocument ToDocument(const SpoolStatus& status, bool exists, bool live);
// One JSON document, ending in a newline.
std::string ToJson(const google::protobuf::Message& document);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_STATUS_REPORT_H_
