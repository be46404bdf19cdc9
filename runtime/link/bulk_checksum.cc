#include "spoolrpc/link/bulk_checksum.h"

#include <string.h>
#include <xxhash.h>

#include <algorithm>
#include <vector>

// The same function for the processor's wide registers, where the library has it.
#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif
#endif

namespace spoolrpc::link {
namespace {

// (With the header above the name stands for the function that chooses.)
uint64_t Hash(const void* bytes, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, size, seed);
}

// `piece(offset, size)` returns the inner checksum of so many bytes from there.
template <class Piece>
uint64_t OverPieces(size_t size, uint64_t seed, Piece piece) {
  std::vector<uint64_t> inner;
  inner.reserve((size + kBulkPiece - 1) / kBulkPiece);
  for (size_t at = 0; at < size; at += kBulkPiece) {
    inner.push_back(piece(at, std::min(kBulkPiece, size - at), seed + inner.size()));
  }
  return Hash(inner.data(), inner.size() * sizeof(inner[0]), seed ^ size);
}

}  // namespace

uint64_t BulkSeed(const log::FrameKey& key, const BulkReference& reference) {
  return key.value() ^ (reference.buffer * 0x9E3779B97F4A7C15ull) ^
         (reference.generation * 0xC2B2AE3D27D4EB4Full) ^
         (reference.offset * 0x165667B19E3779F9ull);
}

uint64_t BulkChecksum(absl::string_view bytes, uint64_t seed) {
  return OverPieces(bytes.size(), seed, [&](size_t at, size_t size, uint64_t piece_seed) {
    return Hash(bytes.data() + at, size, piece_seed);
  });
}

uint64_t CopyWithBulkChecksum(absl::string_view bytes, uint64_t seed, char* to) {
  return OverPieces(bytes.size(), seed, [&](size_t at, size_t size, uint64_t piece_seed) {
    memcpy(to + at, bytes.data() + at, size);
    return Hash(to + at, size, piece_seed);
  });
}

}  // namespace spoolrpc::link
