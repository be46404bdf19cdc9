// absl::Status <-> ReplyHeader, unchanged: code, message and details in order.
#ifndef SPOOLRPC_RPC_STATUS_CODEC_H_
#define SPOOLRPC_RPC_STATUS_CODEC_H_

#include "absl/status/status.h"
#include "spoolrpc/wire.pb.h"

namespace spoolrpc::rpc {

// Puts `status` into `*header`. Details are those of the google.rpc.Status that it carries, and
// then its other payloads. An ErrorInfo stays here: it is only true in the process that made it.
void EncodeStatus(const absl::Status& status, wire::ReplyHeader* header);

// The status that `header` says. An ErrorInfo from the peer is dropped. A code that does not exist
// becomes UNKNOWN.
absl::Status DecodeStatus(const wire::ReplyHeader& header);

}  // namespace spoolrpc::rpc

#endif  // SPOOLRPC_RPC_STATUS_CODEC_H_
