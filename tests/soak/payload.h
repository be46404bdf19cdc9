// Bytes that tell where they belong: no message can pass for another one, or for another part of
// itself.
#ifndef SPOOLRPC_TESTS_SOAK_PAYLOAD_H_
#define SPOOLRPC_TESTS_SOAK_PAYLOAD_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace spoolrpc::soak {

enum class Direction { kRequest = 0, kReply = 1 };

// `size` bytes of the `index`th message of a call. Every other call's can be compressed well, the
// others' not at all.
std::string MakePayload(uint64_t call, Direction direction, uint32_t index, size_t size);

// What is wrong with `payload`; empty if it is the above.
std::string PayloadError(absl::string_view payload, uint64_t call, Direction direction,
                         uint32_t index, size_t size);

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_PAYLOAD_H_
