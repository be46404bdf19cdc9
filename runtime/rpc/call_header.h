// The payload of a CALL or REPLY: a header, then the message (docs/format.md, section 3).
#ifndef SPOOLRPC_RPC_CALL_HEADER_H_
#define SPOOLRPC_RPC_CALL_HEADER_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

namespace spoolrpc::rpc {

// Takes the header from the front of `*payload` and leaves the message there. DATA_LOSS if the
// sizes do not fit or the header does not parse.
absl::Status SplitPayload(absl::string_view* payload, google::protobuf::MessageLite* header);

// `*message` from exactly these bytes. INTERNAL, naming `what`, if they are not one.
absl::Status ParseMessage(absl::string_view bytes, absl::string_view what,
                          google::protobuf::MessageLite* message);

// The size of `message`, after checking that it can be serialized: all required fields are set, and
// it is below 2 GiB. The error names `method` and, right behind it, `part`.
absl::Status CheckSerializable(const google::protobuf::MessageLite& message,
                               absl::string_view method, size_t* size, absl::string_view part = "");

}  // namespace spoolrpc::rpc

#endif  // SPOOLRPC_RPC_CALL_HEADER_H_
