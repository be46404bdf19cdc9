// Random bytes from the kernel, for ids that must never collide.
#ifndef SPOOLRPC_OS_RANDOM_H_
#define SPOOLRPC_OS_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace spoolrpc::os {

// `count` bytes of getrandom(2). Thread-safe.
std::string RandomBytes(size_t count);

uint64_t RandomUint64();

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_RANDOM_H_
