// Durable calls on disk, one step at a time (docs/protocol.md, section 10; docs/format.md,
// section 8).
#ifndef SPOOLRPC_SPOOL_DURABLE_STORE_H_
#define SPOOLRPC_SPOOL_DURABLE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/durable_files.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// Tickets are 16 bytes here; errors spell them in hex and name the path. Immutable; thread-safe.
// Every call blocks as the file system does.
class DurableStore {
 public:
  explicit DurableStore(std::shared_ptr<const Spool> spool) : spool_(std::move(spool)) {}

  // Opens the spool for a caller, who makes it if there is none.
  static absl::StatusOr<std::shared_ptr<const Spool>> OpenSpool(const os::Environment& env,
                                                                const std::string& root,
                                                                Transport transport);

  const Spool& spool() const { return *spool_; }

  // --- The caller.

  // A ticket that nobody else has.
  std::string NewTicket() const;

  // Publishes a call under `record.ticket()`; ticket, process, version and body of the record are
  // filled in here. After an error that is not *published the call is certainly not there, and
  // never will be; otherwise it is, or may come: it was published, but could not be flushed.
  //
  // 1. Make durable/ (power loss: flush the spool's root).
  // 2. Make durable/.tmp-... with `call` in it, flushed where that counts.
  // 3. Rename it to durable/TICKET. After an error look who has the name.
  // 4. Power loss: flush durable/.
  // A crash before 3 leaves a temporary directory, which is collected.
  absl::Status Submit(DurableCallRecord record, absl::string_view request, bool* published) const;

  // --- Looking.

  // All tickets, in order. Opens the directory anew.
  absl::StatusOr<std::vector<std::string>> List() const;

  struct State {
    bool call = false;  // false: it is being deleted
    uint32_t claims = 0;
    bool started = false;
    bool reply = false;
  };
  // What names the call has now, the directory opened anew. NOT_FOUND: none.
  absl::StatusOr<State> Look(const std::string& ticket) const;

  // Errors as DurableFile's. A record of another ticket is DATA_LOSS.
  absl::StatusOr<DurableCallRecord> ReadCall(const std::string& ticket) const;
  absl::StatusOr<DurableClaimRecord> ReadClaim(const std::string& ticket, uint32_t number) const;
  absl::StatusOr<DurableStartedRecord> ReadStarted(const std::string& ticket) const;
  absl::StatusOr<DurableReplyRecord> ReadReply(const std::string& ticket) const;
  // A call's request, and whose its file is, with its group.
  struct Request {
    std::string bytes;
    uint32_t uid;
    uint32_t gid;
  };
  // A request of at most `limit` bytes.
  absl::StatusOr<Request> ReadRequest(const std::string& ticket, size_t limit) const;

  // The reply that counts: read, and then the call was still there. NOT_FOUND: there is no such
  // call (any more); UNAVAILABLE: no reply yet. With `body` the message too.
  absl::StatusOr<DurableReplyRecord> Collect(const std::string& ticket, size_t limit,
                                             std::string* body) const;

  // --- The server. Each returns whether the name is the server's that the record names; NOT_FOUND:
  // the call is gone.

  absl::StatusOr<bool> Claim(const DurableClaimRecord& record) const;
  absl::StatusOr<bool> Start(const DurableStartedRecord& record, bool power_loss) const;
  // Whether this is the reply that counts; body and writer of the record are filled in here.
  absl::StatusOr<bool> Reply(DurableReplyRecord record, absl::string_view body,
                             bool power_loss) const;
  // A reply that no handler made, without the writer.
  static DurableReplyRecord MakeReply(const std::string& ticket, const absl::Status& status,
                                      int32_t reason, bool may_have_executed);

  // --- Ending.

  // Makes CANCELLED the reply, unless there is one, and returns the reply that stands. NOT_FOUND:
  // there is no such call. PERMISSION_DENIED: it is another user's.
  absl::StatusOr<DurableReplyRecord> Cancel(const std::string& ticket) const;
  // The second half of Cancel(), for whoever finds a `started` that names nobody.
  absl::StatusOr<bool> FinishCancel(const std::string& ticket, bool power_loss,
                                    bool may_have_executed) const;
  // `call` first, then the rest. NOT_FOUND: there is no such call.
  absl::Status Delete(const std::string& ticket) const;
  // Of a call that is gone: what is left of it. An error: try again later.
  absl::Status RemoveRest(const std::string& ticket) const;
  // Whether the call is this user's to delete, by the sticky bit of its directory.
  bool MayDelete(const std::string& ticket) const;

  // --- Time, by the file server's clock: nanoseconds since the epoch.
  absl::StatusOr<int64_t> Now() const;
  absl::StatusOr<int64_t> ModifiedTime(const std::string& ticket, absl::string_view name) const;

  // Tells the servers of this host that there is something for them. A hint.
  void RingServers() const;

 private:
  std::string PathOf(const std::string& ticket, absl::string_view name) const {
    return Join(spool_->durable_call(ticket), name);
  }
  absl::Status MakeDurable(bool power_loss) const;
  // Whose files of that kind may be. A group's spool says by the directory whose the call is.
  absl::StatusOr<DurableWriters> WritersOf(const std::string& ticket, RecordKind kind) const;

  const std::shared_ptr<const Spool> spool_;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_DURABLE_STORE_H_
