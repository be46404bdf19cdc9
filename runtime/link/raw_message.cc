#include "spoolrpc/link/raw_message.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/parse_context.h"

namespace spoolrpc::link {

RawMessage* RawMessage::New(google::protobuf::Arena* arena) const {
  return google::protobuf::Arena::Create<RawMessage>(arena);
}

void RawMessage::CheckTypeAndMergeFrom(const google::protobuf::MessageLite& other) {
  // As serialized messages merge: one behind the other.
  const Bytes& theirs = static_cast<const RawMessage&>(other).bytes_;
  bytes_ = bytes_.empty() ? theirs : Bytes(absl::StrCat(bytes_.view(), theirs.view()));
}

const char* RawMessage::_InternalParse(const char* from,
                                       google::protobuf::internal::ParseContext* context) {
  std::string bytes(bytes_.view());
  // (Whoever has the bytes in one piece, as rpc::ParseMessage(), takes them from there.)
  while (!context->Done(&from)) bytes.push_back(*from++);
  bytes_ = Bytes(std::move(bytes));
  return from;
}

uint8_t* RawMessage::_InternalSerialize(uint8_t* to,
                                        google::protobuf::io::EpsCopyOutputStream* stream) const {
  return stream->WriteRaw(bytes_.data(), static_cast<int>(bytes_.size()), to);
}

}  // namespace spoolrpc::link
