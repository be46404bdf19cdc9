// Key-value pairs that travel beside messages, by gRPC's rules.
#ifndef SPOOLRPC_RPC_METADATA_H_
#define SPOOLRPC_RPC_METADATA_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/repeated_field.h"
#include "spoolrpc/wire.pb.h"

namespace spoolrpc {

// Pairs of the same key keep their order.
using Metadata = std::multimap<std::string, std::string>;

namespace rpc {

// All pairs together, as they are encoded: so much fits, with all else that heads a call, into the
// smallest frame that a log may have (16 KiB).
constexpr size_t kMaxMetadataSize = 14 * 1024;

// INVALID_ARGUMENT if a key is not made of [a-z0-9_.-], or the value of a key without "-bin" has
// anything but printable ASCII; RESOURCE_EXHAUSTED if it is too much.
absl::Status CheckMetadata(const Metadata& metadata);

void EncodeMetadata(const Metadata& metadata,
                    google::protobuf::RepeatedPtrField<wire::Metadata>* out);

// Drops what breaks the rules above: a peer may send anything.
Metadata DecodeMetadata(const google::protobuf::RepeatedPtrField<wire::Metadata>& in);

}  // namespace rpc
}  // namespace spoolrpc

#endif  // SPOOLRPC_RPC_METADATA_H_
