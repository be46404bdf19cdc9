// A channel's durable calls: files in the spool, and no session.
#ifndef SPOOLRPC_CLIENT_DURABLE_CHANNEL_H_
#define SPOOLRPC_CLIENT_DURABLE_CHANNEL_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/client/durable.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/durable_store.h"
#include "spoolrpc/spool/spool.h"
#include "spoolrpc/wait/poll_schedule.h"

namespace spoolrpc::client {

struct DurableChannelOptions {
  os::Environment env;
  std::string path;
  spool::Transport transport = spool::Transport::kAuto;
  bool power_loss = false;
  // Of the channel: for the handler.
  std::optional<absl::Duration> timeout;
  size_t max_send = 0;
  size_t max_receive = 0;
  wait::PollInterval poll_interval;
};

// Thread-safe.
class DurableChannel final : public DurableInterface {
 public:
  explicit DurableChannel(DurableChannelOptions options) : options_(std::move(options)) {}

  absl::StatusOr<Ticket> Submit(const MethodInfo& method, ClientContext* context,
                                const google::protobuf::MessageLite& request,
                                const std::string& reply_type) override;
  absl::Status Collect(const Ticket& ticket, absl::string_view service, ClientContext* context,
                       google::protobuf::MessageLite* reply, absl::Duration wait) override;
  absl::Status Delete(const Ticket& ticket) override;
  absl::Status Cancel(const Ticket& ticket) override;

 private:
  // The spool, opened once. `create`: made if there is none.
  absl::StatusOr<std::shared_ptr<const spool::Spool>> Open(bool create) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<spool::DurableStore> OpenFor(const Ticket& ticket);
  // `status` of a file operation, as callers see it.
  absl::Status FileError(const absl::Status& status, const Ticket& ticket) const;
  absl::Status TakeReply(const spool::DurableCallRecord& call,
                         const spool::DurableReplyRecord& record, const std::string& body,
                         ClientContext* context, google::protobuf::MessageLite* reply) const;

  const DurableChannelOptions options_;
  absl::Mutex mu_;
  std::shared_ptr<const spool::Spool> spool_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_DURABLE_CHANNEL_H_
