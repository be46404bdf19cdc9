// One durable call that this server has claimed: from the claim to the reply.
#ifndef SPOOLRPC_SERVER_DURABLE_CALL_H_
#define SPOOLRPC_SERVER_DURABLE_CALL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/server/call_session.h"
#include "spoolrpc/server/server_call.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/durable_store.h"
#include "spoolrpc/spool/server_lease.h"

namespace spoolrpc::server {

class DurableCall;

// What a durable call asks of whoever has claimed it. Thread-safe.
class DurableCallOwner {
 public:
  enum class End {
    kDone,       // it has had its handler here, and has its reply, or is gone
    kGone,       // it has not, and has a reply, or is gone
    kLookAgain,  // it is not this server's any more
  };

  virtual ~DurableCallOwner() = default;
  virtual const spool::DurableStore& store() const = 0;
  virtual const spool::ServerLease& lease() const = 0;
  virtual const std::string& server_id() const = 0;
  virtual SessionHost* host() const = 0;
  virtual const os::Environment& env() const = 0;
  virtual size_t max_request_size() const = 0;
  virtual size_t max_reply_size() const = 0;
  // Once for each. To be looked at again after `delay`.
  virtual void OnEnded(const std::string& ticket, End end, os::Nanos delay) = 0;
  // The reply could not be published, and is kept until it can. OnEnded() is called then.
  virtual void KeepReply(spool::DurableReplyRecord record, std::string body, bool power_loss) = 0;
};

// docs/protocol.md, section 10, from the server's step 2 on. Its own session: nothing else is on
// it. Thread-safe; the handler's threads do the file operations, and block as long as those take.
// Crashes: before `started` the call is taken over and executed; after it the reply is SERVER_LOST,
// unless the call is idempotent.
class DurableCall final : public CallSession, public std::enable_shared_from_this<DurableCall> {
 public:
  // `lapses`: of the lease, taken before the call was claimed. `claim`: the number of the claim.
  DurableCall(DurableCallOwner* owner, spool::DurableCallRecord record, uint64_t lapses,
              uint32_t claim);

  const std::string& ticket() const { return record_.ticket(); }

  // Ends the call without the handler, by the same steps.
  void Refuse(const absl::Status& status, int32_t reason);
  // Ends this server's claim: the call goes to whoever claims it next.
  void GiveBack(os::Nanos delay);

  // CallSession.
  SessionHost* host() const override { return owner_->host(); }
  const os::Clock* clock() const override { return owner_->env().clock; }
  size_t max_request_size() const override { return owner_->max_request_size(); }
  size_t max_reply_size() const override { return owner_->max_reply_size(); }
  bool Takes(Compression) const override { return false; }
  Start PrepareCall(const std::shared_ptr<ServerCall>& call) override;
  Start CheckCall(const std::shared_ptr<ServerCall>& call) override;
  void EndCall(const std::shared_ptr<ServerCall>& call) override;
  void RejectCall(const std::shared_ptr<ServerCall>& call, wire::NotStarted why,
                  const absl::Status& status) override;
  // There are no streams, nobody waits for an acknowledgement, and replies are published whole.
  void SendPart(ServerCall*, log::FrameType, uint8_t, absl::string_view) override {}
  void SendCredit(uint64_t, uint64_t) override {}
  void Acknowledge(const std::shared_ptr<ServerCall>&) override {}
  void Flush() override {}
  void FlushNow() override {}

 private:
  // Steps 2 and 3.
  Start Prepare();
  void Publish(spool::DurableReplyRecord record, std::string body);
  void End(DurableCallOwner::End end, os::Nanos delay = 0);
  // Nobody can have executed the call before.
  bool first() const { return !record_.idempotent() || claim_ == 1; }

  DurableCallOwner* const owner_;
  const spool::DurableCallRecord record_;
  const uint64_t lapses_;
  const uint32_t claim_;
  std::atomic<bool> ended_{false};
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_DURABLE_CALL_H_
