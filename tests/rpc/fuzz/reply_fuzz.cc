// The payload of a REPLY, and the status that its header says, as a client takes them. Input: flags
// (1: put the header's size before the first `front` bytes; 2: a header with this code and message,
// and the bytes as its details), front:u16, code:u8 (with 2), the bytes.
#include "google/rpc/status.pb.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/rpc/metadata.h"
#include "spoolrpc/rpc/status_codec.h"
#include "spoolrpc/wire.pb.h"
#include "tests/fuzz/fuzz_input.h"

using namespace spoolrpc;  // NOLINT: a file of one idea

namespace {

void CheckStatus(const wire::ReplyHeader& header) {
  const absl::Status status = rpc::DecodeStatus(header);
  FUZZ_CHECK(status.ok() == (header.code() == 0));
  FUZZ_CHECK(status.ok() || status.message() == header.message());
  FUZZ_CHECK(status.code() <= absl::StatusCode::kUnauthenticated);
  // What comes from a peer never looks as if this process's own runtime had said it.
  FUZZ_CHECK(!IsTransportError(status) && !GetErrorInfo(status).has_value());
  FUZZ_CHECK(GetDetails<ErrorInfo>(status).empty());
  // It may be passed on, and arrives as it is.
  wire::ReplyHeader again;
  rpc::EncodeStatus(status, &again);
  const absl::Status second = rpc::DecodeStatus(again);
  FUZZ_CHECK(second.code() == status.code() && second.message() == status.message());
  FUZZ_CHECK(ToRpcStatus(second).SerializeAsString() == ToRpcStatus(status).SerializeAsString());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const uint8_t flags = input.Take<uint8_t>();
  const uint16_t front = input.Take<uint16_t>();
  wire::ReplyHeader header;
  if (flags & 2) {
    header.set_code(static_cast<int8_t>(input.Take<uint8_t>()));
    header.set_message(input.TakeString(front % 64));
    header.set_details(input.TakeRest());
    CheckStatus(header);
    return 0;
  }
  std::string bytes = input.TakeRest();
  if (flags & 1) {
    const uint32_t header_size = std::min<size_t>(front, bytes.size());
    bytes.insert(0, reinterpret_cast<const char*>(&header_size), sizeof(header_size));
  }
  absl::string_view payload = bytes;
  const absl::Status status = rpc::SplitPayload(&payload, &header);
  if (!status.ok()) {
    FUZZ_CHECK(absl::IsDataLoss(status) && !status.message().empty());
    return 0;
  }
  FUZZ_CHECK(payload.data() + payload.size() == bytes.data() + bytes.size());
  CheckStatus(header);
  for (const auto* const pairs : {&header.initial_metadata(), &header.trailing_metadata()}) {
    const absl::Status checked = rpc::CheckMetadata(rpc::DecodeMetadata(*pairs));
    FUZZ_CHECK(checked.ok() || absl::IsResourceExhausted(checked));
  }
  return 0;
}
