// Bytes in a message's clothes: what the raw-bytes API sends through everything that is made for
// protobuf messages.
#ifndef SPOOLRPC_LINK_RAW_MESSAGE_H_
#define SPOOLRPC_LINK_RAW_MESSAGE_H_

#include <string>
#include <typeinfo>
#include <utility>

#include "google/protobuf/message_lite.h"
#include "spoolrpc/link/bytes.h"
#include "spoolrpc/os/mapping_guard.h"

namespace spoolrpc::link {

// Serialized it is just its bytes, and any bytes parse. Not thread-safe, as messages are.
class RawMessage final : public google::protobuf::MessageLite {
 public:
  RawMessage() = default;
  explicit RawMessage(Bytes bytes) : bytes_(std::move(bytes)) {}

  const Bytes& bytes() const { return bytes_; }
  Bytes* mutable_bytes() { return &bytes_; }
  void set_bytes(Bytes bytes) { bytes_ = std::move(bytes); }

  // The bytes lie in a file that was truncated meanwhile, or whose disk failed: they are zeros, and
  // not to be sent.
  bool lost() const { return os::MappingGuard::IsLost(bytes_.data()); }

  // `message` if it is one of these, else null.
  static const RawMessage* From(const google::protobuf::MessageLite* message) {
    return Is(message) ? static_cast<const RawMessage*>(message) : nullptr;
  }
  static RawMessage* From(google::protobuf::MessageLite* message) {
    return Is(message) ? static_cast<RawMessage*>(message) : nullptr;
  }

  // --- MessageLite.
  std::string GetTypeName() const override { return "message of raw bytes"; }
  RawMessage* New(google::protobuf::Arena* arena) const override;
  void Clear() override { bytes_ = Bytes(); }
  bool IsInitialized() const override { return true; }
  void CheckTypeAndMergeFrom(const google::protobuf::MessageLite& other) override;
  size_t ByteSizeLong() const override { return bytes_.size(); }
  int GetCachedSize() const override { return static_cast<int>(bytes_.size()); }
  const char* _InternalParse(const char* from,
                             google::protobuf::internal::ParseContext* context) override;
  uint8_t* _InternalSerialize(uint8_t* to,
                              google::protobuf::io::EpsCopyOutputStream* stream) const override;

 private:
  // (Every message that comes is asked: the type of a final class is told by one comparison.)
  static bool Is(const google::protobuf::MessageLite* message) {
    return message != nullptr && typeid(*message) == typeid(RawMessage);
  }

  Bytes bytes_;
};

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_RAW_MESSAGE_H_
