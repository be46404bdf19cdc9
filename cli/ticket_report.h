// What is known of a durable call, and the two forms in which `spoolrpc ticket` prints it.
#ifndef SPOOLRPC_CLI_TICKET_REPORT_H_
#define SPOOLRPC_CLI_TICKET_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "spoolrpc/spool/durable_store.h"
#include "spoolrpc/status.pb.h"

namespace spoolrpc::cli {

// Looks at the call. NOT_FOUND: there is none of that ticket. What is damaged is said in the
// document.
absl::StatusOr<TicketDocument> InspectTicket(const spool::DurableStore& store,
                                             const std::string& ticket);

// For people: all of it, a line for each thing.
std::string TicketText(const TicketDocument& document);
// A table with a line for each call.
std::string TicketTable(const std::vector<TicketDocument>& documents);

// A message without its schema: numbers of fields and their values, as `protoc --decode_raw` has
// it.
std::string RawText(const std::string& bytes);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_TICKET_REPORT_H_
