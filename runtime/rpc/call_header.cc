#include "spoolrpc/rpc/call_header.h"

#include <string.h>

#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "spoolrpc/link/outgoing.h"
#include "spoolrpc/link/raw_message.h"

namespace spoolrpc::rpc {

absl::Status SplitPayload(absl::string_view* payload, google::protobuf::MessageLite* header) {
  uint32_t size = 0;
  if (payload->size() >= link::kHeaderSizeField) {
    memcpy(&size, payload->data(), sizeof(size));
    payload->remove_prefix(link::kHeaderSizeField);
    if (size <= payload->size() &&
        header->ParseFromArray(payload->data(), static_cast<int>(size))) {
      payload->remove_prefix(size);
      return absl::OkStatus();
    }
  }
  return absl::DataLossError(absl::StrCat("a payload without a valid ", header->GetTypeName()));
}

absl::Status ParseMessage(absl::string_view bytes, absl::string_view what,
                          google::protobuf::MessageLite* message) {
  if (auto* const raw = link::RawMessage::From(message)) {
    raw->set_bytes(Bytes::Copy(bytes));
    return absl::OkStatus();
  }
  if (bytes.size() <= static_cast<size_t>(std::numeric_limits<int>::max()) &&
      message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat(what, ": ", bytes.size(), " bytes that are not a ",
                                          message->GetTypeName(),
                                          "; do both sides use the same .proto file?"));
}

absl::Status CheckSerializable(const google::protobuf::MessageLite& message,
                               absl::string_view method, size_t* size, absl::string_view part) {
  if (!message.IsInitialized()) {
    return absl::InternalError(absl::StrCat(method, part, ": required fields of ",
                                            message.GetTypeName(),
                                            " are not set: ", message.InitializationErrorString()));
  }
  *size = message.ByteSizeLong();
  if (*size > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return absl::ResourceExhaustedError(absl::StrCat(
        method, part, ": ", *size, " bytes, more than protobuf can serialize (2 GiB)"));
  }
  return absl::OkStatus();
}

}  // namespace spoolrpc::rpc
