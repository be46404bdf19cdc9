#include "spoolrpc/log/log_head.h"

#include <string.h>
#include <xxhash.h>

#include "absl/strings/str_cat.h"

namespace spoolrpc::log {
namespace {

constexpr absl::string_view kMagic = "SPOOLLOG";
constexpr size_t kChecked = 64;

template <class T>
T Load(absl::string_view bytes, size_t offset) {
  T value;
  memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

template <class T>
void Put(T value, std::string* to) {
  to->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

std::string EncodeHead(const LogHead& head) {
  std::string out(kMagic);
  Put<uint16_t>(kFormatVersion, &out);
  Put<uint8_t>(static_cast<uint8_t>(head.direction), &out);
  Put<uint8_t>(static_cast<uint8_t>(head.state), &out);
  Put<uint32_t>(0, &out);
  out.append(head.id.substr(0, 16));
  out.resize(32, '\0');
  Put<uint64_t>(head.capacity, &out);
  Put<uint64_t>(head.counter, &out);
  Put<uint64_t>(head.flushed, &out);
  Put<uint64_t>(head.term_ns, &out);
  Put<uint64_t>(XXH3_64bits(out.data(), kChecked), &out);
  return out;
}

absl::StatusOr<LogHead> DecodeHead(absl::string_view bytes) {
  if (bytes.size() < kEncodedHeadSize) {
    return absl::DataLossError(absl::StrCat("log head: only ", bytes.size(), " bytes"));
  }
  if (bytes.substr(0, 8) != kMagic) return absl::DataLossError("log head: wrong magic");
  if (Load<uint64_t>(bytes, kChecked) != XXH3_64bits(bytes.data(), kChecked)) {
    return absl::DataLossError("log head: wrong checksum");
  }
  const uint16_t version = Load<uint16_t>(bytes, 8);
  if (version != kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("log head: format version ", version,
                                                      ", this software knows ", kFormatVersion));
  }
  LogHead head;
  const uint8_t direction = Load<uint8_t>(bytes, 10);
  const uint8_t state = Load<uint8_t>(bytes, 11);
  if (direction > 2) return absl::DataLossError(absl::StrCat("log head: direction ", direction));
  if (state < 1 || state > 3) return absl::DataLossError(absl::StrCat("log head: state ", state));
  head.direction = static_cast<Direction>(direction);
  head.state = static_cast<WriterState>(state);
  head.id = std::string(bytes.substr(16, 16));
  head.capacity = Load<uint64_t>(bytes, 32);
  head.counter = Load<uint64_t>(bytes, 40);
  head.flushed = Load<uint64_t>(bytes, 48);
  head.term_ns = Load<uint64_t>(bytes, 56);
  const bool has_ring = head.direction != Direction::kLease;
  if (has_ring ? head.capacity < kMinCapacity || head.capacity > kMaxCapacity ||
                     head.capacity % kHeadSize != 0
               : head.capacity != 0) {
    return absl::DataLossError(absl::StrCat("log head: capacity ", head.capacity));
  }
  return head;
}

}  // namespace spoolrpc::log
