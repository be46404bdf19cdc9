// A message that has come in a bulk buffer.
#ifndef SPOOLRPC_RPC_ARRIVED_MESSAGE_H_
#define SPOOLRPC_RPC_ARRIVED_MESSAGE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/link/bulk_reader.h"

namespace spoolrpc::rpc {

struct ArrivedMessage {
  // It is not looked at before somebody wants it.
  std::shared_ptr<link::IncomingBulk> bulk;
  bool compressed = false;
};

// `*message` from what has arrived, whose buffer raw bytes keep. Blocks as a local file system
// does.
// - OK: `*size` is that of the message, not compressed.
// - INTERNAL, naming `what`: the bytes are no such message. RESOURCE_EXHAUSTED: it is longer than
//   `limit` (only known here if it came compressed), or this process has not got what it takes.
//   DATA_LOSS: it came compressed, and that is broken.
// - `*damage` is set, and returned: the bulk buffer is damaged, and with it the session.
absl::Status ParseArrived(const ArrivedMessage& arrived, uint64_t limit, absl::string_view what,
                          google::protobuf::MessageLite* message, uint64_t* size,
                          absl::Status* damage);

}  // namespace spoolrpc::rpc

#endif  // SPOOLRPC_RPC_ARRIVED_MESSAGE_H_
