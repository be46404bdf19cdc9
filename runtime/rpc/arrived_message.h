// A message as it has come: its bytes, or where they lie.
#ifndef SPOOLRPC_RPC_ARRIVED_MESSAGE_H_
#define SPOOLRPC_RPC_ARRIVED_MESSAGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/link/bulk_reader.h"

namespace spoolrpc::rpc {

struct ArrivedMessage {
  std::string bytes;
  // Of a message in a bulk buffer, which is not looked at before somebody wants it; else null.
  std::shared_ptr<link::IncomingBulk> bulk;
  bool compressed = false;

  // As sent, in bytes.
  uint64_t size() const { return bulk == nullptr ? bytes.size() : bulk->size(); }
};

// `*message` from what has arrived, which is released then (but by raw bytes, which keep it).
// Blocks as a local file system does, if it lies in a bulk buffer.
// - OK: `*size` is that of the message, not compressed.
// - INTERNAL, naming `what`: the bytes are no such message. RESOURCE_EXHAUSTED: it is longer than
//   `limit` (only known here if it came compressed), or this process has not got what it takes.
//   DATA_LOSS: it came compressed, and that is broken.
// - `*damage` is set, and returned: the bulk buffer is damaged, and with it the session.
absl::Status ParseArrived(ArrivedMessage arrived, uint64_t limit, absl::string_view what,
                          google::protobuf::MessageLite* message, uint64_t* size,
                          absl::Status* damage);

}  // namespace spoolrpc::rpc

#endif  // SPOOLRPC_RPC_ARRIVED_MESSAGE_H_
