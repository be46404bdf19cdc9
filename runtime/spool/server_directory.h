// A server's own directory: how it comes up, and how it takes sessions in (docs/protocol.md,
// sections 2 and 3).
#ifndef SPOOLRPC_SPOOL_SERVER_DIRECTORY_H_
#define SPOOLRPC_SPOOL_SERVER_DIRECTORY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "spoolrpc/log/log_reader.h"
#include "spoolrpc/log/log_writer.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/session_directory.h"
#include "spoolrpc/spool/spool.h"
#include "spoolrpc/wait/doorbell.h"

namespace spoolrpc::spool {

// A session as the server has taken it in.
struct AcceptedSession {
  SessionRecord record;
  // Whose its files are, and their group, by the kernel's word.
  uint32_t uid;
  uint32_t gid;
  SessionPaths paths;
  std::unique_ptr<log::LogReader> requests;
  std::unique_ptr<log::LogWriter> responses;
  // The client's doorbell, if it could be mapped.
  std::unique_ptr<wait::Doorbell> client_doorbell;
};

struct Inbox {
  std::vector<std::string> sessions;  // announced: their ids (16 bytes)
  std::vector<uint32_t> stops;        // numbers of requests to stop
};

// Every call blocks as the file system does. Not thread-safe, except doorbell().
class ServerDirectory {
 public:
  // Makes the directory complete and publishes it. `record` names the services, and may name the
  // id, which nobody else may have used; process and versions are filled in here.
  static absl::StatusOr<std::unique_ptr<ServerDirectory>> Publish(
      std::shared_ptr<const Spool> spool, ServerRecord record);

  const std::string& id() const { return record_.server_id(); }
  const ServerRecord& record() const { return record_; }
  const std::string& path() const { return path_; }
  // The doorbell that clients of this host ring; one in memory where they cannot.
  wait::Doorbell* doorbell() { return doorbell_.get(); }

  // Renews the server's own lease; `state` tells clients whether to come, `calls_served` is for
  // `spoolrpc status`.
  absl::Status RenewLease(log::WriterState state, uint64_t calls_served);
  // FAILED_PRECONDITION if `servers/SERVER` is not this directory any more: somebody took it for
  // dead.
  absl::Status CheckStillThere();

  // What the inbox holds, opened anew.
  absl::StatusOr<Inbox> ListInbox();
  // The request of that number that somebody stops this server; errors as ReadStopRequest()'s.
  absl::StatusOr<StopRecord> ReadStop(uint32_t number);
  // Says whether a user may call: OK, or in words why not, to be read after "belongs to uid N, ".
  using AdmitFn = absl::FunctionRef<absl::Status(uint32_t uid, uint32_t gid)>;
  // Takes the session in, or refuses it: the verdict is linked, the announcement removed. An error
  // says why not: CANCELLED if the client had withdrawn it, otherwise what is wrong with it;
  // PERMISSION_DENIED, with the reason of that name, if its user may not call: the spool is
  // another's alone, or `admit` says so. `slot`: its place in the doorbell, kNoSlot for none.
  absl::StatusOr<std::unique_ptr<AcceptedSession>> Accept(const std::string& session_id,
                                                          AdmitFn admit, uint32_t slot,
                                                          uint64_t log_capacity,
                                                          uint64_t max_request_size,
                                                          log::AlignedBuffer* buffer);
  // Removes the server's half of a session, and once the client's half is gone the verdict. False:
  // something is left (the client's half, or a file that this host has open on NFS); try again
  // later.
  bool Forget(const std::string& session_id);
  // Closes the server's own files and removes the directory as far as RemoveServerFiles() may; the
  // doorbell must not be used any more.
  void Remove();

  static constexpr uint32_t kNoSlot = UINT32_MAX;

 private:
  ServerDirectory(std::shared_ptr<const Spool> spool, ServerRecord record);
  absl::StatusOr<std::unique_ptr<AcceptedSession>> Inspect(const std::string& session_id,
                                                           AdmitFn admit,
                                                           log::AlignedBuffer* buffer);
  absl::Status Admit(const std::string& half, const os::FileInfo& info, AdmitFn admit) const;
  // Opens the request log anew once the verdict stands.
  absl::Status LookAgain(AcceptedSession* session, log::AlignedBuffer* buffer);
  absl::Status MakeHalf(uint64_t log_capacity, AcceptedSession* session);

  const std::shared_ptr<const Spool> spool_;
  ServerRecord record_;
  std::string path_;
  uint64_t inode_ = 0;
  std::unique_ptr<wait::Doorbell> doorbell_;
  std::unique_ptr<log::LogWriter> lease_;
};

// Removes what a server that is gone has left at `directory`: its record first, so that nobody
// finds it any more, and verdicts only of sessions whose client's half is gone (docs/protocol.md,
// section 9). False: something is left; try again later.
bool RemoveServerFiles(const Spool& spool, const std::string& directory);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_SERVER_DIRECTORY_H_
