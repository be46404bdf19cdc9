// Calls of one method that its handler is given together.
#ifndef SPOOLRPC_SERVER_SERVER_BATCH_H_
#define SPOOLRPC_SERVER_SERVER_BATCH_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "spoolrpc/server/batch.h"
#include "spoolrpc/server/server_call.h"

namespace spoolrpc::server {

// For the thread that runs it.
class ServerBatch final : public BatchContext {
 public:
  // `calls` have begun, are at least one, and all of one method.
  explicit ServerBatch(std::vector<std::shared_ptr<ServerCall>> calls);

  // Runs the handler; afterwards each call has its status, and its reply. What the handler throws
  // is the status of the calls that it has given none; an error that it returns, that of all.
  void Run();

  const std::vector<std::shared_ptr<ServerCall>>& calls() const { return calls_; }

  int size() const override { return static_cast<int>(calls_.size()); }
  ServerContext* context(int i) override { return calls_.at(i)->context(); }
  void SetStatus(int i, absl::Status status) override { statuses_.at(i) = std::move(status); }

 private:
  const std::vector<std::shared_ptr<ServerCall>> calls_;
  std::vector<std::optional<absl::Status>> statuses_;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_SERVER_BATCH_H_
