#include "spoolrpc/rpc/arrived_message.h"

#include "absl/strings/str_cat.h"
#include "spoolrpc/compress/message_codec.h"
#include "spoolrpc/link/raw_message.h"
#include "spoolrpc/rpc/call_header.h"

namespace spoolrpc::rpc {
namespace {

absl::Status Parse(absl::string_view bytes, bool compressed, uint64_t limit, absl::string_view what,
                   google::protobuf::MessageLite* message, uint64_t* size) {
  *size = bytes.size();
  if (!compressed) return ParseMessage(bytes, what, message);
  const auto whole = compress::Decompress(bytes, limit);
  if (!whole.ok()) {
    return absl::Status(whole.status().code(), absl::StrCat(what, ": ", whole.status().message()));
  }
  *size = whole->size();
  return ParseMessage(*whole, what, message);
}

}  // namespace

absl::Status ParseArrived(const ArrivedMessage& arrived, uint64_t limit, absl::string_view what,
                          google::protobuf::MessageLite* message, uint64_t* size,
                          absl::Status* damage) {
  link::IncomingBulk* const bulk = arrived.bulk.get();
  absl::Status status = bulk->Read();
  if (absl::IsDataLoss(status)) *damage = status;
  if (!status.ok()) return status;
  auto* const raw = arrived.compressed ? nullptr : link::RawMessage::From(message);
  if (raw != nullptr) {
    *size = bulk->size();
    raw->set_bytes(Bytes(bulk->bytes(), arrived.bulk));
  } else {
    status = Parse(bulk->bytes(), arrived.compressed, limit, what, message, size);
  }
  // Whatever was made of bytes that went away meanwhile is worth nothing.
  *damage = bulk->CheckIntact();
  return damage->ok() ? status : *damage;
}

}  // namespace spoolrpc::rpc
