#include "spoolrpc/spool/server_directory.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/spool/staged_directory.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/random.h"
#include "spoolrpc/os/users.h"
#include "spoolrpc/spool/reason.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/stop_request.h"
#include "spoolrpc/spool/verdict.h"

namespace spoolrpc::spool {
namespace {

log::LogHead LeaseHead(const ServerRecord& record) {
  log::LogHead head;
  head.direction = log::Direction::kLease;
  head.id = record.server_id();
  head.counter = 1;
  head.term_ns = record.lease_term_ns();
  return head;
}

}  // namespace

ServerDirectory::ServerDirectory(std::shared_ptr<const Spool> spool, ServerRecord record)
    : spool_(std::move(spool)), record_(std::move(record)) {}

absl::StatusOr<std::unique_ptr<ServerDirectory>> ServerDirectory::Publish(
    std::shared_ptr<const Spool> spool, ServerRecord record) {
  os::SystemCalls* const calls = spool->env().calls;
  if (record.server_id().empty()) record.set_server_id(os::RandomBytes(kIdSize));
  *record.mutable_process() = ToProcessIdentity(spool->env().host->Self());
  record.set_protocol_version(kProtocolVersion);
  record.set_min_protocol_version(kMinProtocolVersion);
  record.add_message_encodings(kZstdEncoding);
  if (!spool->network()) record.set_bulk_version(kBulkVersion);
  record.set_software_version(kSoftwareVersion);
  record.set_started_at(absl::ToUnixSeconds(spool->env().clock->WallTime()));
  record.set_file_system_is_local(spool->file_system().local);
  auto server = std::unique_ptr<ServerDirectory>(new ServerDirectory(spool, std::move(record)));
  const ServerRecord& r = server->record_;

  const auto staged = StageDirectory(*spool, spool->servers());
  if (!staged.ok()) return staged.status();
  const std::string& temporary = *staged;
  const bool flush = spool->access().flushed_writes;
  const auto make = [&]() -> absl::Status {
    if (absl::Status s = spool->MakeDirectory(temporary); !s.ok()) return s;
    for (const char* name : {kInbox, kVerdicts}) {
      if (absl::Status s = spool->MakeSharedDirectory(Join(temporary, name)); !s.ok()) return s;
    }
    if (absl::Status s = spool->MakeDirectory(Join(temporary, kSessions)); !s.ok()) return s;
    if (absl::Status s = log::CreateLogFile(calls, Join(temporary, kLease), LeaseHead(r),
                                            spool->access(), spool->file_mode());
        !s.ok()) {
      return s;
    }
    if (!spool->network()) {
      // For this user's processes alone (Doorbell::Attach()), in a group's spool too.
      auto bell = wait::Doorbell::Create(calls, Join(temporary, kDoorbell),
                                         wait::Doorbell::kMaxSlots, 0600);
      if (bell.ok()) server->doorbell_ = *std::move(bell);
    }
    return os::WriteNewFile(calls, Join(temporary, kRecord), EncodeRecord(RecordKind::kServer, r),
                            spool->file_mode(), flush);
  };
  absl::Status status = make();
  const std::string path = spool->server(r.server_id());
  if (status.ok()) status = os::Rename(calls, temporary, path);
  if (!status.ok()) {
    RemoveStaged(*spool, temporary).IgnoreError();
    return status;
  }
  server->path_ = path;
  RemoveStage(*spool, temporary);
  if (server->doorbell_ == nullptr) {
    server->doorbell_ = wait::Doorbell::InMemory(wait::Doorbell::kMaxSlots);
  }
  const auto info = os::StatPath(calls, path);
  if (!info.ok()) return info.status();
  server->inode_ = info->inode;
  auto lease = log::OpenLogForWriting(calls, Join(path, kLease), spool->access());
  if (!lease.ok()) return lease.status();
  server->lease_ =
      std::make_unique<log::LogWriter>(*std::move(lease), LeaseHead(r), spool->access());
  return server;
}

absl::Status ServerDirectory::RenewLease(log::WriterState state, uint64_t calls_served) {
  lease_->set_calls_served(calls_served);
  return lease_->WriteHead(state);
}

absl::Status ServerDirectory::CheckStillThere() {
  const auto info = os::StatPath(spool_->env().calls, path_);
  if (info.ok() && info->inode == inode_) return absl::OkStatus();
  if (info.ok() || absl::IsNotFound(info.status())) {
    return absl::FailedPreconditionError(absl::StrCat("server directory ", path_,
                                                      " was removed: somebody took this server for "
                                                      "dead"));
  }
  return info.status();
}

absl::StatusOr<Inbox> ServerDirectory::ListInbox() {
  const auto names = os::ListDirectory(spool_->env().calls, Join(path_, kInbox));
  if (!names.ok()) return names.status();
  Inbox inbox;
  for (const std::string& name : *names) {
    std::string id;
    if (ParseIdName(absl::string_view(name).substr(0, name.rfind('.')), &id)) {
      inbox.sessions.push_back(std::move(id));
    } else if (const uint32_t number = NumberBehind(kStop, name); number > 0) {
      inbox.stops.push_back(number);
    }
  }
  return inbox;
}

absl::StatusOr<StopRecord> ServerDirectory::ReadStop(uint32_t number) {
  return ReadStopRequest(*spool_, path_, id(), number);
}

absl::Status ServerDirectory::Admit(const std::string& half, const os::FileInfo& info,
                                    AdmitFn admit) const {
  absl::Status status;
  if (os::IsNobody(info.uid)) {
    status = absl::PermissionDeniedError(
        "which stands for nobody: the server's host or the file server does not know whose it is; "
        "mend the mapping of ids");
  } else if (!spool_->group().has_value() && info.uid != geteuid()) {
    status = absl::PermissionDeniedError(
        absl::StrCat("and this spool serves uid ", geteuid(),
                     " alone; its owner may share it with a group (ServerBuilder::set_group)"));
  } else {
    status = admit(info.uid, info.gid);
  }
  if (status.ok()) return status;
  return WithReason(absl::PermissionDeniedError(absl::StrCat("session ", half, ": belongs to uid ",
                                                             info.uid, ", ", status.message())),
                    ErrorInfo::PERMISSION_DENIED);
}

absl::StatusOr<std::unique_ptr<AcceptedSession>> ServerDirectory::Inspect(
    const std::string& session_id, AdmitFn admit, log::AlignedBuffer* buffer) {
  os::SystemCalls* const calls = spool_->env().calls;
  // (An aggregate: std::make_unique does not take its members.)
  auto session = std::unique_ptr<AcceptedSession>(  // NOLINT(modernize-make-unique)
      new AcceptedSession{
          {}, 0, 0, SessionPaths(*spool_, session_id, id()), nullptr, nullptr, nullptr});
  const SessionPaths& paths = session->paths;
  const auto half = os::StatPath(calls, paths.client_half);
  if (!half.ok()) return half.status();
  if (half->type != os::FileInfo::Type::kDirectory) {
    return absl::FailedPreconditionError(
        absl::StrCat("session ", paths.client_half, ": not a directory"));
  }
  session->uid = half->uid;
  session->gid = half->gid;
  if (absl::Status s = Admit(paths.client_half, *half, admit); !s.ok()) return s;
  if (absl::Status s = ReadRecordOf(calls, Join(paths.client_half, kRecord), RecordKind::kSession,
                                    half->uid, &session->record);
      !s.ok()) {
    return s;
  }
  const SessionRecord& record = session->record;
  if (record.session_id() != session_id || record.server_id() != id()) {
    return absl::FailedPreconditionError(
        absl::StrCat("session ", paths.client_half, ": its record is of another session"));
  }
  if (record.protocol_version() < kMinProtocolVersion ||
      kProtocolVersion < record.min_protocol_version()) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          "session ", paths.client_half, ": the client speaks protocol versions ",
                          record.min_protocol_version(), " to ", record.protocol_version(), " (",
                          record.software_version(), "), this server ", kMinProtocolVersion, " to ",
                          kProtocolVersion, " (", kSoftwareVersion, ")")),
                      ErrorInfo::VERSION_MISMATCH);
  }
  auto requests = log::LogReader::Open(calls, paths.requests, session_id, log::Direction::kRequests,
                                       half->uid, spool_->access(), buffer);
  if (!requests.ok()) return requests.status();
  session->requests = *std::move(requests);
  if (!spool_->network() && record.doorbell_inode() != 0 &&
      os::SameHost(spool_->env().host->Self(), ToProcessId(record.process()))) {
    auto bell = wait::Doorbell::Attach(calls, paths.client_doorbell, half->uid);
    if (bell.ok() && (*bell)->device() == record.doorbell_device() &&
        (*bell)->inode() == record.doorbell_inode() &&
        (*bell)->nonce() == record.doorbell_nonce()) {
      session->client_doorbell = *std::move(bell);
    }
  }
  return session;
}

absl::Status ServerDirectory::MakeHalf(uint64_t log_capacity, AcceptedSession* session) {
  os::SystemCalls* const calls = spool_->env().calls;
  const SessionPaths& paths = session->paths;
  if (absl::Status s = spool_->MakeDirectory(paths.server_half); !s.ok()) return s;
  log::LogHead head;
  head.direction = log::Direction::kResponses;
  head.id = session->record.session_id();
  head.capacity = log_capacity;
  head.counter = 1;
  head.term_ns = record_.lease_term_ns();
  if (absl::Status s =
          log::CreateLogFile(calls, paths.responses, head, spool_->access(), spool_->file_mode());
      !s.ok()) {
    return s;
  }
  auto file = log::OpenLogForWriting(calls, paths.responses, spool_->access());
  if (!file.ok()) return file.status();
  session->responses =
      std::make_unique<log::LogWriter>(*std::move(file), std::move(head), spool_->access());
  return absl::OkStatus();
}

absl::Status ServerDirectory::LookAgain(AcceptedSession* session, log::AlignedBuffer* buffer) {
  os::SystemCalls* const calls = spool_->env().calls;
  // The client's half is there now, after the verdict: so the verdict is the first, and no former
  // one was removed. The first descriptor is closed before: NFS 4.2 may give out a dead file
  // otherwise.
  session->requests.reset();
  if (spool_->network()) os::ListDirectory(calls, spool_->sessions()).status().IgnoreError();
  auto requests =
      log::LogReader::Open(calls, session->paths.requests, session->record.session_id(),
                           log::Direction::kRequests, session->uid, spool_->access(), buffer);
  if (!requests.ok()) {
    return absl::CancelledError(absl::StrCat("session ", session->paths.client_half,
                                             " is gone: ", requests.status().message()));
  }
  session->requests = *std::move(requests);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<AcceptedSession>> ServerDirectory::Accept(
    const std::string& session_id, AdmitFn admit, uint32_t slot, uint64_t log_capacity,
    uint64_t max_request_size, log::AlignedBuffer* buffer) {
  os::SystemCalls* const calls = spool_->env().calls;
  VerdictRecord verdict;
  verdict.set_session_id(session_id);
  auto session = Inspect(session_id, admit, buffer);
  absl::Status status = session.status();
  if (status.ok()) status = MakeHalf(log_capacity, session->get());
  if (status.ok()) {
    verdict.set_verdict(VerdictRecord::ACCEPTED);
    verdict.set_doorbell_slot(slot);
    verdict.set_doorbell_mapped((*session)->client_doorbell != nullptr);
    verdict.set_protocol_version(
        std::min<uint32_t>(kProtocolVersion, (*session)->record.protocol_version()));
    verdict.set_log_capacity(log_capacity);
    verdict.set_max_request_size(max_request_size);
  } else {
    // First, so that there is room for the verdict where the disk has no more for the half.
    if (session.ok()) os::RemoveTree(calls, (*session)->paths.server_half).IgnoreError();
    if (absl::IsResourceExhausted(status)) verdict.set_code(static_cast<int>(status.code()));
    verdict.set_verdict(VerdictRecord::REFUSED);
    verdict.set_detail(std::string(status.message()));
    verdict.set_reason(ReasonOf(status, ErrorInfo::SPOOL_UNUSABLE));
  }
  bool won = false;
  const std::string verdict_path = SessionPaths(*spool_, session_id, id()).verdict;
  VerdictParties parties{geteuid(), geteuid()};
  if (const auto half = os::StatPath(calls, spool_->session(session_id)); half.ok()) {
    parties.client = half->uid;
  }
  const auto stands = DecideVerdict(*spool_, verdict_path, path_, verdict, parties, &won);
  if (status.ok() && !won) {
    status = stands.ok() ? absl::CancelledError(absl::StrCat("session ", IdName(session_id),
                                                             " was withdrawn by its client"))
                         : stands.status();
  }
  if (stands.ok() || absl::IsPermissionDenied(stands.status())) {
    // The announcement has done its work; without a verdict it stays for the next look.
    os::RemoveFile(calls, Join(Join(path_, kInbox), absl::StrCat(IdName(session_id), ".1")))
        .IgnoreError();
  }
  if (status.ok()) status = LookAgain(session->get(), buffer);
  if (!status.ok()) {
    os::RemoveTree(calls, SessionPaths(*spool_, session_id, id()).server_half).IgnoreError();
    return status;
  }
  if ((*session)->client_doorbell != nullptr) (*session)->client_doorbell->Echo(0);
  return session;
}

bool ServerDirectory::Forget(const std::string& session_id) {
  os::SystemCalls* const calls = spool_->env().calls;
  const SessionPaths paths(*spool_, session_id, id());
  bool all = os::RemoveTree(calls, paths.server_half).ok();
  if (spool_->network()) os::ListDirectory(calls, spool_->sessions()).status().IgnoreError();
  if (absl::IsNotFound(os::StatPath(calls, paths.client_half).status())) {
    os::RemoveFile(calls, paths.verdict).IgnoreError();
  } else {
    all = false;
  }
  return all;
}

void ServerDirectory::Remove() {
  lease_.reset();
  doorbell_.reset();
  RemoveServerFiles(*spool_, path_);
}

bool RemoveServerFiles(const Spool& spool, const std::string& directory) {
  os::SystemCalls* const calls = spool.env().calls;
  const auto names = os::ListDirectory(calls, directory);
  if (!names.ok()) return absl::IsNotFound(names.status());
  os::RemoveFile(calls, Join(directory, kRecord)).IgnoreError();
  for (const std::string& name : *names) {
    if (name != kVerdicts) os::RemoveTree(calls, Join(directory, name)).IgnoreError();
  }
  const std::string verdicts = Join(directory, kVerdicts);
  if (spool.network()) os::ListDirectory(calls, spool.sessions()).status().IgnoreError();
  if (const auto sessions = os::ListDirectory(calls, verdicts); sessions.ok()) {
    for (const std::string& name : *sessions) {
      if (absl::IsNotFound(os::StatPath(calls, Join(spool.sessions(), name)).status())) {
        os::RemoveFile(calls, Join(verdicts, name)).IgnoreError();
      }
    }
  }
  os::RemoveDirectory(calls, verdicts).IgnoreError();
  const absl::Status removed = os::RemoveDirectory(calls, directory);
  return removed.ok() || absl::IsNotFound(removed);
}

}  // namespace spoolrpc::spool
