// What a link does with messages in bulk buffers, but for writing their frames.

#include "absl/strings/str_cat.h"
#include "spoolrpc/link/raw_message.h"
#include "spoolrpc/link/session_link.h"

namespace spoolrpc::link {

std::unique_ptr<BulkLoan> SessionLink::PrepareBulk(const google::protobuf::MessageLite& message,
                                                   size_t size) {
  if (bulk_out_ == nullptr || size < bulk_out_->threshold()) return nullptr;
  if (const RawMessage* const raw = RawMessage::From(&message)) {
    return bulk_out_->LendBytes(raw->bytes().view());
  }
  const std::shared_ptr<BulkBlock> block = bulk_out_->Take(size);
  if (block == nullptr) return nullptr;
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(block->data()));
  return bulk_out_->Lend(*block, size);
}

std::unique_ptr<BulkLoan> SessionLink::PrepareBulk(absl::string_view bytes) {
  if (bulk_out_ == nullptr || bytes.size() < bulk_out_->threshold()) return nullptr;
  return bulk_out_->LendBytes(bytes);
}

std::shared_ptr<BulkBlock> SessionLink::TakeBlock(size_t size) {
  if (bulk_out_ == nullptr || size < bulk_out_->threshold()) return nullptr;
  return bulk_out_->Take(size);
}

absl::StatusOr<std::shared_ptr<IncomingBulk>> SessionLink::TakeBulk(absl::string_view reference) {
  const auto decoded = DecodeBulkReference(reference);
  if (!decoded.has_value() || bulk_in_ == nullptr) {
    return absl::DataLossError(absl::StrCat(
        "read ", reader_->path(), ": a message in a bulk buffer, ",
        decoded.has_value() ? "where there are none between these sides" : "without a reference"));
  }
  return bulk_in_->Take(*decoded, [weak = weak_from_this()](const BulkRelease& release) {
    const auto link = weak.lock();
    if (link == nullptr) return;
    link->SendControl(log::FrameType::kRelease, 0, 0, EncodeBulkRelease(release));
    link->Flush().IgnoreError();  // whoever sends next meets the error
  });
}

}  // namespace spoolrpc::link
