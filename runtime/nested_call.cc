#include "spoolrpc/nested_call.h"

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace spoolrpc {
namespace {

// Outlives whichever of the two contexts goes first.
struct Link {
  absl::Mutex mu;
  ClientContext* client ABSL_GUARDED_BY(mu) = nullptr;
};

class NestedContext final : public ClientContext {
 public:
  explicit NestedContext(ServerContext* server) {
    if (server->deadline() != absl::InfiniteFuture()) set_deadline(server->deadline());
    {
      absl::MutexLock lock(&link_->mu);
      link_->client = this;
    }
    server->NotifyOnCancel([link = link_] {
      absl::MutexLock lock(&link->mu);
      if (link->client != nullptr) link->client->TryCancel();
    });
  }
  ~NestedContext() override {
    absl::MutexLock lock(&link_->mu);
    link_->client = nullptr;
  }

 private:
  const std::shared_ptr<Link> link_ = std::make_shared<Link>();
};

}  // namespace

std::unique_ptr<ClientContext> NestedCallContext(ServerContext* context) {
  return std::make_unique<NestedContext>(context);
}

}  // namespace spoolrpc
