// The checksum of a message in a bulk buffer: of checksums of its pieces, each computed while the
// piece is in the processor's cache (docs/format.md, section 9).
#ifndef SPOOLRPC_LINK_BULK_CHECKSUM_H_
#define SPOOLRPC_LINK_BULK_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "spoolrpc/link/bulk_reference.h"
#include "spoolrpc/log/frame.h"

namespace spoolrpc::link {

// Bytes of a message that one inner checksum covers; the last may be shorter.
constexpr size_t kBulkPiece = 65536;

// What the checksums of one message are seeded with, so that another session's, another buffer's or
// an earlier filling never passes for it. `reference.checksum` is not looked at.
uint64_t BulkSeed(const log::FrameKey& key, const BulkReference& reference);

// Of bytes where they are.
uint64_t BulkChecksum(absl::string_view bytes, uint64_t seed);

// The same, and copies them to `to`, which must not overlap them. What is at `to` afterwards has
// that checksum even if somebody changes `bytes` meanwhile.
uint64_t CopyWithBulkChecksum(absl::string_view bytes, uint64_t seed, char* to);

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_BULK_CHECKSUM_H_
