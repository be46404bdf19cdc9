// What a handler learns of its call, and says beside the reply.
#ifndef SPOOLRPC_SERVER_SERVER_CONTEXT_H_
#define SPOOLRPC_SERVER_SERVER_CONTEXT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "spoolrpc/link/bytes.h"
#include "spoolrpc/rpc/metadata.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/server/peer_identity.h"

namespace spoolrpc {

namespace server {
class ContextAccess;
class ServerCall;
}  // namespace server

// Belongs to one call and lives as long as its handler runs. IsCancelled(), NotifyOnCancel()
// and TryCancel() are thread-safe, the rest is for the handler's thread.
class ServerContext {
 public:
  ServerContext() = default;
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  // "/package.Service/Method".
  const std::string& method() const { return *method_; }
  // Who calls, as "spool:/path#SESSION HOST:PID uid UID", for people. The uid is that of the files
  // in which the call came; host and pid are what the client says.
  const std::string& peer() const { return *peer_; }
  // The same for programs: whose files they are, by the kernel's word.
  const PeerIdentity& peer_identity() const { return peer_identity_; }
  const Metadata& client_metadata() const { return client_metadata_; }

  // Until when the caller waits, by this host's clock; absl::InfiniteFuture() if there is no
  // deadline.
  absl::Time deadline() const { return deadline_; }
  // True when nobody waits for the reply any more: the caller gave up, died, or its deadline
  // passed.
  bool IsCancelled() const {
    return cancelled_.load(std::memory_order_acquire) || absl::Now() >= deadline_;
  }

  // Has `callback` called once, on a thread of the server, when nobody waits for the reply any
  // more; at once if that is so already. It neither begins nor still runs once the handler has
  // returned (of a reactor: once its OnDone() is called), so it may use the context; but not what
  // is on the handler's stack, which goes before. Must not block. May be called several times.
  void NotifyOnCancel(std::function<void()> callback) ABSL_LOCKS_EXCLUDED(mu_);
  // Cancels the call from this side: reads and writes fail, those that wait too, and the call ends
  // with CANCELLED, whatever the handler returns. Thread-safe; does not block.
  void TryCancel() const {
    try_cancel_.store(true, std::memory_order_release);
    if (cancel_ != nullptr) cancel_();
  }

  // Has `work` done once the reply has been sent, on a thread of the server: one after the other,
  // in the order in which the replies went. May block; the server waits for it when it goes down.
  void RunAfterReply(std::function<void()> work) { after_reply_.push_back(std::move(work)); }

  // How messages are sent that become smaller by it, to a client that takes them so; wins over the
  // server's and the method's setting.
  void set_compression(Compression compression) { compression_ = compression; }
  // Whether the request, or the last message that was read, came compressed.
  bool request_was_compressed() const {
    return request_compressed_.load(std::memory_order_relaxed);
  }

  // Of a raw method: memory for its reply, to be filled in place: `*reply = std::move(bytes)
  // .Freeze()`. Of a bulk buffer where that is possible, so that nothing is copied; else of its
  // own. May block as a local file system does.
  MutableBytes AllocateReply(size_t size) const {
    return allocate_ == nullptr ? MutableBytes(size) : allocate_(size);
  }

  // Sent with the reply. Keys and values as in ClientContext::AddMetadata(); what breaks the rules
  // ends the call with INTERNAL.
  void AddInitialMetadata(const std::string& key, const std::string& value) {
    initial_metadata_.emplace(key, value);
  }
  void AddTrailingMetadata(const std::string& key, const std::string& value) {
    trailing_metadata_.emplace(key, value);
  }

 private:
  friend class server::ContextAccess;
  friend class server::ServerCall;

  // Shared by all calls of the method, and of the session.
  std::shared_ptr<const std::string> method_ = Empty();
  std::shared_ptr<const std::string> peer_ = Empty();
  PeerIdentity peer_identity_;
  Metadata client_metadata_;
  Metadata initial_metadata_;
  Metadata trailing_metadata_;
  absl::Time deadline_ = absl::InfiniteFuture();
  std::vector<std::function<void()>> after_reply_;
  Compression compression_ = Compression::kDefault;
  std::atomic<bool> request_compressed_{false};
  std::atomic<bool> cancelled_{false};
  mutable std::atomic<bool> try_cancel_{false};
  // Tells the call; set when that is made.
  std::function<void()> cancel_;
  std::function<MutableBytes(size_t)> allocate_;  // by the call, too

  static const std::shared_ptr<const std::string>& Empty();

  // Before anybody else has the context. `watch` arranges that a deadline that passes is told.
  void SetDeadline(absl::Time deadline,
                   std::function<void()> watch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    deadline_ = deadline;
    watch_deadline_ = std::move(watch);
  }
  // A callback of NotifyOnCancel() that was taken out begins; false: it is too late for it.
  bool BeginTelling() ABSL_LOCKS_EXCLUDED(mu_);
  void EndTelling() ABSL_LOCKS_EXCLUDED(mu_);
  // The handler has returned: no callback begins from here on. Waits for those that run.
  void StopTelling() ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  std::vector<std::function<void()>> on_cancel_ ABSL_GUARDED_BY(mu_);
  int telling_ ABSL_GUARDED_BY(mu_) = 0;  // callbacks that run
  bool over_ ABSL_GUARDED_BY(mu_) = false;
  absl::CondVar told_;
  std::function<void()> watch_deadline_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_SERVER_CONTEXT_H_
