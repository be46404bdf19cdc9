// The flow control of streams: how much may be under way (docs/format.md, section 3).
#ifndef SPOOLRPC_RPC_STREAM_WINDOW_H_
#define SPOOLRPC_RPC_STREAM_WINDOW_H_

#include <cstddef>
#include <cstdint>

namespace spoolrpc::rpc {

// What one side of one call may have sent beyond what the other side's program has taken, in bytes
// as StreamCost() counts; a message that begins within it is sent whole.
constexpr uint64_t kStreamWindow = 131072;

// What a message of `size` bytes counts: it takes memory even if it is empty.
constexpr uint64_t StreamCost(size_t size) { return size + 64; }

}  // namespace spoolrpc::rpc

#endif  // SPOOLRPC_RPC_STREAM_WINDOW_H_
