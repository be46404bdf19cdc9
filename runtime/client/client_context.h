// What a caller says about one call, and what it learns of it beside the reply.
#ifndef SPOOLRPC_CLIENT_CLIENT_CONTEXT_H_
#define SPOOLRPC_CLIENT_CLIENT_CONTEXT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "spoolrpc/rpc/metadata.h"
#include "spoolrpc/rpc/method_info.h"

namespace spoolrpc {

namespace client {
class ContextAccess;
}  // namespace client

// For one call; must outlive it. Settings are made before the call, and not thread-safe;
// acknowledged() and TryCancel() may be used from any thread while it runs.
class ClientContext {
 public:
  ClientContext() = default;
  virtual ~ClientContext() = default;
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  // The call ends with DEADLINE_EXCEEDED after this long. Wins over the channel's and the method's
  // timeout. absl::InfiniteDuration(): never. A time that has passed already ends the call at once.
  void set_timeout(absl::Duration timeout) { timeout_ = timeout; }
  // The same as a time by this host's clock.
  void set_deadline(absl::Time deadline) { timeout_ = deadline - absl::Now(); }
  // How long the call may remain unacknowledged by any server.
  void set_ack_timeout(absl::Duration timeout) { ack_timeout_ = timeout; }

  // What happens while no server is there. Not set: the call waits for one up to the ack timeout.
  // True: up to its deadline, and the ack timeout begins when there is one. False: it fails as soon
  // as it is known that there is none.
  void set_wait_for_ready(bool wait) { wait_for_ready_ = wait; }

  // Sent with the call. Keys: [a-z0-9_.-]+; a key that ends in "-bin" takes any bytes, others
  // printable ASCII. What breaks the rules ends the call with INVALID_ARGUMENT.
  void AddMetadata(const std::string& key, const std::string& value) {
    metadata_.emplace(key, value);
  }

  // How messages are sent that become smaller by it, to a server that takes them so; wins over the
  // channel's and the method's setting.
  void set_compression(Compression compression) { compression_ = compression; }
  // Whether the reply, or the last message that was read, came compressed.
  bool reply_was_compressed() const { return reply_compressed_.load(std::memory_order_relaxed); }

  // True once a server has told that it took the call into its queue. Until then the ack timeout
  // runs.
  bool acknowledged() const { return acknowledged_.load(std::memory_order_acquire); }
  // Called once, when the call is acknowledged, on a thread of the runtime or on a caller's that is
  // reading for it: must not block, and must not use the channel.
  void set_acknowledged_callback(std::function<void()> callback) {
    on_acknowledged_ = std::move(callback);
  }

  // Ends the call with CANCELLED, and tells the server that nobody waits for it any more. No effect
  // on a call that has ended; one that has not begun ends as it begins.
  void TryCancel();

  // What the server sent beside the reply. Valid once the call has ended.
  const Metadata& GetServerInitialMetadata() const { return initial_metadata_; }
  const Metadata& GetServerTrailingMetadata() const { return trailing_metadata_; }
  // The server that the call went to, as "spool:/path#SERVER HOST:PID"; empty if to none.
  const std::string& peer() const;

 private:
  friend class client::ContextAccess;

  std::optional<absl::Duration> timeout_;
  std::optional<absl::Duration> ack_timeout_;
  std::optional<bool> wait_for_ready_;
  Compression compression_ = Compression::kDefault;
  Metadata metadata_;
  std::function<void()> on_acknowledged_;

  std::atomic<bool> used_{false};
  std::atomic<bool> acknowledged_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> reply_compressed_{false};
  Metadata initial_metadata_;
  Metadata trailing_metadata_;
  std::shared_ptr<const std::string> peer_;  // null: to none

  absl::Mutex mu_;
  // Wakes whoever waits for the call; set while it runs.
  std::function<void()> cancel_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_CLIENT_CONTEXT_H_
