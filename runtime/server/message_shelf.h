// A message object that is used again for the next large message: its memory is there already, and
// to get as much anew from the kernel, page by page, takes longer than to copy the message.
#ifndef SPOOLRPC_SERVER_MESSAGE_SHELF_H_
#define SPOOLRPC_SERVER_MESSAGE_SHELF_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::server {

// Room for one message of one type. Thread-safe.
class MessageShelf {
 public:
  // What is there, empty; null: nothing.
  std::unique_ptr<google::protobuf::MessageLite> Take() ABSL_LOCKS_EXCLUDED(mu_);
  // Clears it, and keeps it in place of what is there.
  void Keep(std::unique_ptr<google::protobuf::MessageLite> message, os::Nanos now)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Frees what was put there before `before`.
  void DropOlder(os::Nanos before) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Mutex mu_;
  std::unique_ptr<google::protobuf::MessageLite> message_ ABSL_GUARDED_BY(mu_);
  os::Nanos since_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_MESSAGE_SHELF_H_
