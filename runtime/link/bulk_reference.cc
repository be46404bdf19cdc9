#include "spoolrpc/link/bulk_reference.h"

#include <string.h>

#include "spoolrpc/spool/layout.h"

namespace spoolrpc::link {
namespace {

template <class T>
void Put(T value, std::string* to) {
  to->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <class T>
T Take(absl::string_view* from) {
  T value;
  memcpy(&value, from->data(), sizeof(value));
  from->remove_prefix(sizeof(value));
  return value;
}

bool IsBufferNumber(uint32_t number) { return number >= 1 && number <= spool::kMaxNumber; }

}  // namespace

std::string EncodeBulkReference(const BulkReference& reference) {
  std::string bytes;
  bytes.reserve(kBulkReferenceSize);
  Put<uint32_t>(reference.buffer, &bytes);
  Put<uint32_t>(0, &bytes);
  Put<uint64_t>(reference.generation, &bytes);
  Put<uint64_t>(reference.offset, &bytes);
  Put<uint64_t>(reference.length, &bytes);
  Put<uint64_t>(reference.checksum, &bytes);
  return bytes;
}

std::optional<BulkReference> DecodeBulkReference(absl::string_view bytes) {
  if (bytes.size() != kBulkReferenceSize) return std::nullopt;
  BulkReference reference;
  reference.buffer = Take<uint32_t>(&bytes);
  const auto zero = Take<uint32_t>(&bytes);
  reference.generation = Take<uint64_t>(&bytes);
  reference.offset = Take<uint64_t>(&bytes);
  reference.length = Take<uint64_t>(&bytes);
  reference.checksum = Take<uint64_t>(&bytes);
  if (zero != 0 || !IsBufferNumber(reference.buffer) || reference.generation == 0 ||
      reference.length == 0 || reference.length > kMaxBulkLength ||
      reference.offset > kMaxBulkBuffer - reference.length) {
    return std::nullopt;
  }
  return reference;
}

std::string EncodeBulkRelease(const BulkRelease& release) {
  std::string bytes;
  Put<uint32_t>(release.buffer, &bytes);
  Put<uint32_t>(0, &bytes);
  Put<uint64_t>(release.generation, &bytes);
  return bytes;
}

std::optional<BulkRelease> DecodeBulkRelease(absl::string_view bytes) {
  if (bytes.size() != kReleaseSize) return std::nullopt;
  BulkRelease release;
  release.buffer = Take<uint32_t>(&bytes);
  const auto zero = Take<uint32_t>(&bytes);
  release.generation = Take<uint64_t>(&bytes);
  if (zero != 0 || !IsBufferNumber(release.buffer) || release.generation == 0) return std::nullopt;
  return release;
}

}  // namespace spoolrpc::link
