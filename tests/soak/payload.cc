#include "tests/soak/payload.h"

#include <string.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace spoolrpc::soak {
namespace {

// The words of a payload, one after the other (splitmix64).
class Words {
 public:
  Words(uint64_t call, Direction direction, uint32_t index)
      : state_(call * 0x9E3779B97F4A7C15 ^
               (uint64_t{index} << 1 | static_cast<uint64_t>(direction))),
        mask_(call % 2 == 0 ? ~uint64_t{0} : 0x0101010101010101) {}

  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return (z ^ (z >> 31)) & mask_;
  }

 private:
  uint64_t state_;
  const uint64_t mask_;
};

}  // namespace

std::string MakePayload(uint64_t call, Direction direction, uint32_t index, size_t size) {
  std::string payload(size, '\0');
  Words words(call, direction, index);
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = words.Next();
    memcpy(payload.data() + at, &word, std::min(sizeof(word), size - at));
  }
  return payload;
}

std::string PayloadError(absl::string_view payload, uint64_t call, Direction direction,
                         uint32_t index, size_t size) {
  if (payload.size() != size) {
    return absl::StrCat(payload.size(), " bytes of payload instead of ", size);
  }
  Words words(call, direction, index);
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = words.Next();
    if (memcmp(payload.data() + at, &word, std::min(sizeof(word), size - at)) != 0) {
      return absl::StrCat("a payload of ", size, " bytes that is wrong at ", at);
    }
  }
  return "";
}

}  // namespace spoolrpc::soak
