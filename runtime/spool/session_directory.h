// The client's half of a session on disk (docs/protocol.md, section 3).
#ifndef SPOOLRPC_SPOOL_SESSION_DIRECTORY_H_
#define SPOOLRPC_SPOOL_SESSION_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "spoolrpc/log/log_head.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/spool.h"
#include "spoolrpc/spool/verdict.h"
#include "spoolrpc/wait/doorbell.h"

namespace spoolrpc::spool {

// Where the files of one session lie. Immutable.
struct SessionPaths {
  SessionPaths(const Spool& spool, const std::string& session_id, const std::string& server_id);

  std::string client_half;  // sessions/SESSION
  std::string requests;
  std::string client_doorbell;
  std::string server_half;  // servers/SERVER/sessions/SESSION
  std::string responses;
  std::string inbox;
  std::string verdict;
  std::string server_doorbell;
};

// The client's half while it is made and published. Not thread-safe; every call blocks as the file
// system does. What an abandoned one leaves is removed by Remove() or by collection.
class SessionDirectory {
 public:
  // 1. Makes sessions/.tmp-... with the record, the request log and (where useful) the doorbell.
  static absl::StatusOr<std::unique_ptr<SessionDirectory>> Create(
      const std::shared_ptr<const Spool>& spool, const ServerEntry& server, uint64_t log_capacity,
      uint64_t term_ns);

  // The request log as it is now, to write the first frames into before the publication.
  const std::string& requests_path() const { return requests_path_; }
  const log::LogHead& head() const { return head_; }
  wait::Doorbell* doorbell() { return doorbell_.get(); }
  std::unique_ptr<wait::Doorbell> TakeDoorbell() { return std::move(doorbell_); }
  const std::string& id() const { return head_.id; }
  const SessionPaths& paths() const { return paths_; }
  const VerdictParties& parties() const { return parties_; }

  // 2. Renames it to sessions/SESSION and announces it in the server's inbox. NOT_FOUND: the
  // server's directory is gone.
  absl::Status Publish();

  // Withdraws: makes a WITHDRAWN record the verdict unless one is there. Returns the verdict that
  // stands; NOT_FOUND if the server's directory is gone, which is as good as withdrawn, and so is
  // PERMISSION_DENIED: a third user's file is in the way.
  absl::StatusOr<VerdictRecord> Withdraw();

  // Removes the client's half, and the announcement if it is still there. False: something is left
  // (a file that somebody has open on NFS); try again later.
  bool Remove();

 private:
  SessionDirectory(std::shared_ptr<const Spool> spool, const std::string& session_id,
                   const ServerEntry& server);

  const std::shared_ptr<const Spool> spool_;
  const SessionPaths paths_;
  const VerdictParties parties_;
  std::string directory_;  // where it is now
  std::string requests_path_;
  log::LogHead head_;
  std::unique_ptr<wait::Doorbell> doorbell_;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_SESSION_DIRECTORY_H_
