#include "spoolrpc/spool/session_directory.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/spool/staged_directory.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/random.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::spool {

SessionPaths::SessionPaths(const Spool& spool, const std::string& session_id,
                           const std::string& server_id) {
  const std::string name = IdName(session_id);
  const std::string server = spool.server(server_id);
  client_half = spool.session(session_id);
  requests = Join(client_half, kRequests);
  client_doorbell = Join(client_half, kDoorbell);
  server_half = Join(Join(server, kSessions), name);
  responses = Join(server_half, kResponses);
  inbox = Join(server, kInbox);
  verdict = Join(Join(server, kVerdicts), name);
  server_doorbell = Join(server, kDoorbell);
}

SessionDirectory::SessionDirectory(std::shared_ptr<const Spool> spool,
                                   const std::string& session_id, const ServerEntry& server)
    : spool_(std::move(spool)),
      paths_(*spool_, session_id, server.id),
      parties_{server.uid, geteuid()} {}

absl::StatusOr<std::unique_ptr<SessionDirectory>> SessionDirectory::Create(
    const std::shared_ptr<const Spool>& spool, const ServerEntry& server, uint64_t log_capacity,
    uint64_t term_ns) {
  os::SystemCalls* const calls = spool->env().calls;
  const std::string id = os::RandomBytes(kIdSize);
  auto session = std::unique_ptr<SessionDirectory>(new SessionDirectory(spool, id, server));
  session->head_.direction = log::Direction::kRequests;
  session->head_.id = id;
  session->head_.capacity = log_capacity;
  session->head_.counter = 1;
  session->head_.term_ns = term_ns;
  auto staged = StageDirectory(*spool, spool->sessions());
  if (!staged.ok()) return staged.status();
  session->directory_ = *std::move(staged);
  session->requests_path_ = Join(session->directory_, kRequests);

  absl::Status status = spool->MakeDirectory(session->directory_);
  if (status.ok()) {
    status = log::CreateLogFile(calls, session->requests_path_, session->head_, spool->access(),
                                spool->file_mode());
  }
  const os::ProcessId self = spool->env().host->Self();
  const bool same_host = os::SameHost(self, ToProcessId(server.record->process()));
  SessionRecord record;
  // Whoever may write to a doorbell may truncate it, and a process that has a truncated file mapped
  // dies: processes of different users poll.
  if (status.ok() && !spool->network() && same_host && server.uid == geteuid()) {
    auto bell = wait::Doorbell::Create(calls, Join(session->directory_, kDoorbell), 1, 0600);
    // Without a doorbell the session polls.
    if (bell.ok()) {
      record.set_doorbell_device((*bell)->device());
      record.set_doorbell_inode((*bell)->inode());
      record.set_doorbell_nonce((*bell)->nonce());
      session->doorbell_ = *std::move(bell);
    }
  }
  if (status.ok()) {
    record.set_session_id(id);
    record.set_server_id(server.id);
    *record.mutable_process() = ToProcessIdentity(self);
    record.set_protocol_version(kProtocolVersion);
    record.set_min_protocol_version(kMinProtocolVersion);
    record.add_message_encodings(kZstdEncoding);
    if (!spool->network()) record.set_bulk_version(kBulkVersion);
    record.set_software_version(kSoftwareVersion);
    record.set_lease_term_ns(term_ns);
    record.set_log_capacity(log_capacity);
    record.set_file_system_is_local(spool->file_system().local);
    status = os::WriteNewFile(calls, Join(session->directory_, kRecord),
                              EncodeRecord(RecordKind::kSession, record), spool->file_mode(),
                              spool->access().flushed_writes);
  }
  if (!status.ok()) {
    session->Remove();
    return status;
  }
  return session;
}

absl::Status SessionDirectory::Publish() {
  os::SystemCalls* const calls = spool_->env().calls;
  if (absl::Status s = os::Rename(calls, directory_, paths_.client_half); !s.ok()) {
    // A retried NFS request may report failure for its own success.
    if (!os::StatPath(calls, paths_.requests).ok()) return s;
  }
  const std::string staged = std::exchange(directory_, paths_.client_half);
  requests_path_ = paths_.requests;
  const std::string announcement = Join(paths_.inbox, absl::StrCat(IdName(id()), ".1"));
  const absl::Status announced = os::WriteNewFile(calls, announcement, "", 0600, false);
  RemoveStage(*spool_, staged);
  return absl::IsAlreadyExists(announced) ? absl::OkStatus() : announced;
}

absl::StatusOr<VerdictRecord> SessionDirectory::Withdraw() {
  VerdictRecord record;
  record.set_verdict(VerdictRecord::WITHDRAWN);
  record.set_session_id(id());
  bool won = false;
  return DecideVerdict(*spool_, paths_.verdict, directory_, record, parties_, &won);
}

bool SessionDirectory::Remove() {
  os::SystemCalls* const calls = spool_->env().calls;
  os::RemoveFile(calls, Join(paths_.inbox, absl::StrCat(IdName(id()), ".1"))).IgnoreError();
  doorbell_.reset();
  if (directory_ != paths_.client_half) return RemoveStaged(*spool_, directory_).ok();
  return os::RemoveTree(calls, directory_).ok();
}

}  // namespace spoolrpc::spool
