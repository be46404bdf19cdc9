// What a frame carries instead of a message that lies in a bulk buffer (docs/format.md, section 9).
#ifndef SPOOLRPC_LINK_BULK_REFERENCE_H_
#define SPOOLRPC_LINK_BULK_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace spoolrpc::link {

constexpr size_t kBulkReferenceSize = 40;  // bytes
constexpr size_t kReleaseSize = 16;        // bytes
// The longest message: what protobuf can serialize.
constexpr uint64_t kMaxBulkLength = (uint64_t{1} << 31) - 1;
// The largest buffer that a reader opens.
constexpr uint64_t kMaxBulkBuffer = uint64_t{1} << 32;

// Names a piece of one of the writer's bulk buffers, as it is at one time.
struct BulkReference {
  uint32_t buffer = 0;      // the number in the file's name, from 1
  uint64_t generation = 0;  // grows whenever the buffer is filled anew, from 1
  uint64_t offset = 0;      // in bytes
  uint64_t length = 0;      // in bytes, at least 1
  uint64_t checksum = 0;
};

// kBulkReferenceSize bytes.
std::string EncodeBulkReference(const BulkReference& reference);
// Nothing if `bytes` are not exactly a reference, or name what no writer may have: a number that no
// buffer has, a piece that is empty or longer than kMaxBulkLength, or ends beyond kMaxBulkBuffer.
std::optional<BulkReference> DecodeBulkReference(absl::string_view bytes);

// The payload of a RELEASE: nothing but which buffer, and as of which time.
struct BulkRelease {
  uint32_t buffer = 0;
  uint64_t generation = 0;
};

std::string EncodeBulkRelease(const BulkRelease& release);
std::optional<BulkRelease> DecodeBulkRelease(absl::string_view bytes);

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_BULK_REFERENCE_H_
