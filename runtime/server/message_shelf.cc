#include "spoolrpc/server/message_shelf.h"

#include <utility>

namespace spoolrpc::server {

std::unique_ptr<google::protobuf::MessageLite> MessageShelf::Take() {
  absl::MutexLock lock(&mu_);
  return std::move(message_);
}

void MessageShelf::Keep(std::unique_ptr<google::protobuf::MessageLite> message, os::Nanos now) {
  if (message == nullptr) return;
  message->Clear();
  // (What was there is freed without the lock.)
  absl::MutexLock lock(&mu_);
  message_.swap(message);
  since_ = now;
}

void MessageShelf::DropOlder(os::Nanos before) {
  std::unique_ptr<google::protobuf::MessageLite> dropped;
  absl::MutexLock lock(&mu_);
  if (message_ != nullptr && since_ < before) dropped = std::move(message_);
}

}  // namespace spoolrpc::server
