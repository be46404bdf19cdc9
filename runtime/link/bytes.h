// Bytes of messages without a protobuf class, for the raw-bytes API.
#ifndef SPOOLRPC_LINK_BYTES_H_
#define SPOOLRPC_LINK_BYTES_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace spoolrpc {

// A handle on immutable bytes: memory of their own, or a piece of a bulk buffer, which can be used
// again when the last handle on any of it goes. Cheap to copy. As thread-safe as a
// std::shared_ptr.
//
// A handle on what a peer has sent may be kept as long as one likes, also after the call and the
// channel have ended; as long as one is kept the peer cannot use that buffer again, and takes
// others, or sends in smaller pieces, more slowly.
class Bytes {
 public:
  // No bytes.
  Bytes() = default;
  // Takes the string's memory over. (Implicit, as from a string literal.)
  Bytes(std::string bytes) {  // NOLINT(google-explicit-constructor)
    auto owned = std::make_shared<const std::string>(std::move(bytes));
    view_ = *owned;
    owner_ = std::move(owned);
  }
  // Bytes that stay where they are, unchanged, as long as `owner` is kept.
  Bytes(absl::string_view bytes, std::shared_ptr<const void> owner)
      : owner_(std::move(owner)), view_(bytes) {}
  static Bytes Copy(absl::string_view bytes) { return Bytes(std::string(bytes)); }

  const char* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  absl::string_view view() const { return view_; }
  // At most `count` bytes from `offset` (which must not be beyond the end), of the same memory.
  Bytes Slice(size_t offset, size_t count = absl::string_view::npos) const {
    return Bytes(view_.substr(offset, count), owner_);
  }

 private:
  std::shared_ptr<const void> owner_;
  absl::string_view view_;
};

// Memory to be filled in place and then sent: of a bulk buffer where that is possible, so that
// nothing is copied, else of its own. Its content is unspecified at first. Not thread-safe.
class MutableBytes {
 public:
  MutableBytes() = default;
  // `owner` keeps the memory, which nobody else writes to.
  MutableBytes(char* data, size_t size, std::shared_ptr<const void> owner)
      : owner_(std::move(owner)), data_(data), size_(size) {}
  // Memory of its own.
  explicit MutableBytes(size_t size) : size_(size) {
    // (Not zeroed, as it will be written over.)
    std::shared_ptr<char> memory(new char[size], std::default_delete<char[]>());
    data_ = memory.get();
    owner_ = std::move(memory);
  }
  MutableBytes(MutableBytes&& other) noexcept { *this = std::move(other); }
  MutableBytes& operator=(MutableBytes&& other) noexcept {
    owner_ = std::move(other.owner_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  char* data() { return data_; }
  size_t size() const { return size_; }
  // Makes it shorter.
  void Truncate(size_t size) { size_ = size < size_ ? size : size_; }
  // From here on nobody writes to it: `std::move(bytes).Freeze()`.
  Bytes Freeze() && {
    Bytes frozen(absl::string_view(data_, size_), std::move(owner_));
    data_ = nullptr;
    size_ = 0;
    return frozen;
  }

 private:
  std::shared_ptr<const void> owner_;
  char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_LINK_BYTES_H_
