// The payload of a CALL, as a server takes it apart. Input: flags (1: put the header's size before
// the first `front` bytes), front:u16, the bytes.
#include "google/protobuf/empty.pb.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/metadata.h"
#include "spoolrpc/wire.pb.h"
#include "tests/fuzz/fuzz_input.h"

using namespace spoolrpc;  // NOLINT: a file of one function

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const bool repair = input.Take<uint8_t>() & 1;
  const uint16_t front = input.Take<uint16_t>();
  std::string bytes = input.TakeRest();
  if (repair) {
    const uint32_t header_size = std::min<size_t>(front, bytes.size());
    bytes.insert(0, reinterpret_cast<const char*>(&header_size), sizeof(header_size));
  }
  absl::string_view payload = bytes;
  wire::CallHeader header;
  const absl::Status status = rpc::SplitPayload(&payload, &header);
  if (!status.ok()) {
    FUZZ_CHECK(absl::IsDataLoss(status) && !status.message().empty());
    return 0;
  }
  // The message is what is left, and lies in what came.
  FUZZ_CHECK(payload.size() + 4 <= bytes.size());
  FUZZ_CHECK(payload.data() + payload.size() == bytes.data() + bytes.size());
  // Whatever the peer sent, what a handler sees keeps the rules, but for the sum of the sizes.
  const Metadata metadata = rpc::DecodeMetadata(header.metadata());
  FUZZ_CHECK(metadata.size() <= static_cast<size_t>(header.metadata_size()));
  const absl::Status checked = rpc::CheckMetadata(metadata);
  FUZZ_CHECK(checked.ok() || absl::IsResourceExhausted(checked));
  wire::CallHeader again;
  rpc::EncodeMetadata(metadata, again.mutable_metadata());
  FUZZ_CHECK(rpc::DecodeMetadata(again.metadata()) == metadata);
  google::protobuf::Empty message;
  const absl::Status parsed = rpc::ParseMessage(payload, "/p.S/M", &message);
  FUZZ_CHECK(parsed.ok() || absl::IsInternal(parsed));
  return 0;
}
