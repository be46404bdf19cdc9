#include "spoolrpc/rpc/reassembly.h"

namespace spoolrpc::rpc {

bool Reassembly::Add(absl::string_view bytes) {
  seen_ += bytes.size();
  if (!overflowed_ && bytes_.size() + bytes.size() > limit_) {
    overflowed_ = true;
    std::string().swap(bytes_);
  }
  if (!overflowed_) bytes_.append(bytes.data(), bytes.size());
  return !overflowed_;
}

}  // namespace spoolrpc::rpc
