// Messages that arrive in several frames, put together again within limits.
#ifndef SPOOLRPC_RPC_REASSEMBLY_H_
#define SPOOLRPC_RPC_REASSEMBLY_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace spoolrpc::rpc {

// Gathers the bytes of one message. Memory grows with what has arrived, never with what was
// announced.
class Reassembly {
 public:
  explicit Reassembly(uint64_t limit) : limit_(limit) {}

  // Adds the bytes of a frame. False: the message is larger than the limit; its bytes are dropped,
  // here and from now on.
  bool Add(absl::string_view bytes);

  bool overflowed() const { return overflowed_; }
  uint64_t seen() const { return seen_; }  // bytes, dropped ones included
  std::string& bytes() { return bytes_; }

 private:
  const uint64_t limit_;
  uint64_t seen_ = 0;
  bool overflowed_ = false;
  std::string bytes_;
};

}  // namespace spoolrpc::rpc

#endif  // SPOOLRPC_RPC_REASSEMBLY_H_
