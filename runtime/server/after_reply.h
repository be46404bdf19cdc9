// Work that handlers want done after their replies, in the order in which the replies went.
#ifndef SPOOLRPC_SERVER_AFTER_REPLY_H_
#define SPOOLRPC_SERVER_AFTER_REPLY_H_

#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace spoolrpc::server {

// Thread-safe. Has a thread from the first work on.
class AfterReply {
 public:
  using Work = std::vector<std::function<void()>>;

  // The place of a call's work among others. Belongs to whoever took it until it is done.
  struct Place {
    Work work;
    bool ready = false;
  };

  // `on_failure` is told of what work throws, on the thread that does it.
  explicit AfterReply(std::function<void(const absl::Status&)> on_failure)
      : on_failure_(std::move(on_failure)) {}
  // Does what it was given; no place may be open.
  ~AfterReply();

  // Taken before the reply is sent, so that work keeps the order of replies.
  std::shared_ptr<Place> Take(Work work) ABSL_LOCKS_EXCLUDED(mu_);
  // The reply has been sent, or will not be.
  void SetReady(const std::shared_ptr<Place>& place) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const std::function<void(const absl::Status&)> on_failure_;
  absl::Mutex mu_;
  absl::CondVar changed_;
  std::deque<std::shared_ptr<Place>> places_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_AFTER_REPLY_H_
