#include "spoolrpc/spool/durable_store.h"

#include <unistd.h>

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "runtime/spool/staged_directory.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/random.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/wait/doorbell.h"

namespace spoolrpc::spool {
namespace {

absl::Status NoSuchCall(const std::string& path) {
  return absl::NotFoundError(absl::StrCat("no durable call at ", path,
                                          ": it never was in this spool, or it was deleted, by "
                                          "somebody or at the end of its retention"));
}

template <class Record>
absl::Status CheckTicket(const Record& record, const std::string& ticket, const std::string& path) {
  if (record.ticket() == ticket) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("read ", path, ": of another ticket"));
}

template <class Record>
absl::StatusOr<Record> ReadOne(const Spool& spool, const std::string& path, RecordKind kind,
                               const absl::StatusOr<DurableWriters>& writers,
                               const std::string& ticket) {
  if (!writers.ok()) return writers.status();
  auto file = DurableFile::Open(spool, path, *writers);
  if (!file.ok()) return file.status();
  Record record;
  if (absl::Status s = file->ReadRecord(kind, &record); !s.ok()) return s;
  if (absl::Status s = CheckTicket(record, ticket, path); !s.ok()) return s;
  return record;
}

// The same of a record with a body, which is read too if `body` is given. `owner`, if it is given,
// becomes whose the file is.
template <class Record>
absl::StatusOr<Record> ReadWithBody(const Spool& spool, const std::string& path, RecordKind kind,
                                    const absl::StatusOr<DurableWriters>& writers,
                                    const std::string& ticket, size_t limit, std::string* body,
                                    DurableStore::Request* owner = nullptr) {
  if (!writers.ok()) return writers.status();
  auto file = DurableFile::Open(spool, path, *writers);
  if (!file.ok()) return file.status();
  Record record;
  if (absl::Status s = file->ReadFront(kind, &record); !s.ok()) return s;
  if (absl::Status s = CheckTicket(record, ticket, path); !s.ok()) return s;
  if (body != nullptr) {
    if (absl::Status s = file->ReadBody(kind, record.body(), limit, body); !s.ok()) return s;
  }
  if (owner != nullptr) {
    owner->uid = file->uid();
    owner->gid = file->gid();
  }
  return record;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Spool>> DurableStore::OpenSpool(const os::Environment& env,
                                                                     const std::string& root,
                                                                     Transport transport) {
  auto spool = Spool::Open(env, root, transport);
  if (!absl::IsNotFound(spool.status())) return spool;
  return Spool::OpenOrCreate(env, root, transport);
}

// ---------------------------------------------------------------- the caller

std::string DurableStore::NewTicket() const {
  const auto now = static_cast<uint64_t>(
      std::max<int64_t>(0, absl::ToUnixNanos(spool_->env().clock->WallTime())));
  std::string ticket;
  for (int shift = 56; shift >= 0; shift -= 8) ticket.push_back(static_cast<char>(now >> shift));
  return ticket + os::RandomBytes(kIdSize - ticket.size());
}

absl::Status DurableStore::MakeDurable(bool power_loss) const {
  absl::Status made = spool_->MakeSharedDirectory(spool_->durable());
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  // (Also where somebody else has made it: he need not have flushed it yet.)
  return power_loss ? os::SyncDirectory(spool_->env().calls, spool_->root()) : absl::OkStatus();
}

absl::Status DurableStore::Submit(DurableCallRecord record, absl::string_view request,
                                  bool* published) const {
  os::SystemCalls* const calls = spool_->env().calls;
  *published = false;
  const bool power_loss = record.survives_power_loss();
  const std::string path = spool_->durable_call(record.ticket());
  *record.mutable_process() = ToProcessIdentity(spool_->env().host->Self());
  record.set_software_version(kSoftwareVersion);
  record.set_submitted_at(absl::ToUnixSeconds(spool_->env().clock->WallTime()));
  *record.mutable_body() = DescribeBody(RecordKind::kDurableCall, request);
  std::string content = EncodeRecord(RecordKind::kDurableCall, record);
  if (content.size() > kRecordHeaderSize + kMaxRecordSize) {
    return absl::ResourceExhaustedError(
        absl::StrCat("write ", path, ": the call's metadata have ", content.size(), " bytes"));
  }
  absl::StrAppend(&content, request);

  if (absl::Status s = MakeDurable(power_loss); !s.ok()) return s;
  const auto staged = StageDirectory(*spool_, spool_->durable());
  if (!staged.ok()) return staged.status();
  const std::string& temporary = *staged;
  auto cleanup = absl::MakeCleanup([&] { RemoveStaged(*spool_, temporary).IgnoreError(); });
  if (absl::Status s = spool_->MakeSharedDirectory(temporary); !s.ok()) return s;
  if (absl::Status s = os::WriteNewFile(calls, Join(temporary, kCall), content, spool_->file_mode(),
                                        power_loss || spool_->access().flushed_writes);
      !s.ok()) {
    return s;
  }
  if (power_loss) {
    if (absl::Status s = os::SyncDirectory(calls, temporary); !s.ok()) return s;
  }
  absl::Status renamed = os::Rename(calls, temporary, path);
  if (!renamed.ok()) {
    if (spool_->network()) {
      os::ListDirectory(calls, spool_->durable()).status().IgnoreError();
    }
    // Nobody else uses the name: if it is there, the rename did it.
    const auto there = os::StatPath(calls, path);
    const auto left = os::StatPath(calls, temporary);
    if (!there.ok() && left.ok()) return renamed;
    *published = true;  // or may come
    if (!there.ok()) return renamed;
  }
  *published = true;
  std::move(cleanup).Cancel();
  RemoveStage(*spool_, temporary);
  if (power_loss) {
    if (absl::Status s = os::SyncDirectory(calls, spool_->durable()); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// ---------------------------------------------------------------- looking

absl::StatusOr<std::vector<std::string>> DurableStore::List() const {
  const auto names = os::ListDirectory(spool_->env().calls, spool_->durable());
  if (absl::IsNotFound(names.status())) return std::vector<std::string>();
  if (!names.ok()) return names.status();
  std::vector<std::string> tickets;
  for (const std::string& name : *names) {
    if (std::string ticket; ParseIdName(name, &ticket)) tickets.push_back(std::move(ticket));
  }
  std::sort(tickets.begin(), tickets.end());
  return tickets;
}

absl::StatusOr<DurableStore::State> DurableStore::Look(const std::string& ticket) const {
  const std::string path = spool_->durable_call(ticket);
  const auto names = os::ListDirectory(spool_->env().calls, path);
  if (absl::IsNotFound(names.status())) return NoSuchCall(path);
  if (!names.ok()) return names.status();
  State state;
  for (const std::string& name : *names) {
    if (name == kCall) state.call = true;
    if (name == kStarted) state.started = true;
    if (name == kReply) state.reply = true;
    state.claims = std::max(state.claims, NumberBehind(kClaim, name));
  }
  return state;
}

absl::StatusOr<DurableWriters> DurableStore::WritersOf(const std::string& ticket,
                                                       RecordKind kind) const {
  DurableWriters writers;
  writers.servers = kind != RecordKind::kDurableCall;
  if (!spool_->group().has_value() || kind == RecordKind::kDurableClaim) return writers;
  const auto info = os::StatPath(spool_->env().calls, spool_->durable_call(ticket));
  if (!info.ok()) return info.status();
  writers.caller = info->uid;
  return writers;
}

absl::StatusOr<DurableCallRecord> DurableStore::ReadCall(const std::string& ticket) const {
  return ReadWithBody<DurableCallRecord>(*spool_, PathOf(ticket, kCall), RecordKind::kDurableCall,
                                         WritersOf(ticket, RecordKind::kDurableCall), ticket, 0,
                                         nullptr);
}

absl::StatusOr<DurableClaimRecord> DurableStore::ReadClaim(const std::string& ticket,
                                                           uint32_t number) const {
  return ReadOne<DurableClaimRecord>(*spool_, PathOf(ticket, absl::StrCat(kClaim, number)),
                                     RecordKind::kDurableClaim,
                                     WritersOf(ticket, RecordKind::kDurableClaim), ticket);
}

absl::StatusOr<DurableStartedRecord> DurableStore::ReadStarted(const std::string& ticket) const {
  return ReadOne<DurableStartedRecord>(*spool_, PathOf(ticket, kStarted),
                                       RecordKind::kDurableStarted,
                                       WritersOf(ticket, RecordKind::kDurableStarted), ticket);
}

absl::StatusOr<DurableReplyRecord> DurableStore::ReadReply(const std::string& ticket) const {
  return ReadWithBody<DurableReplyRecord>(
      *spool_, PathOf(ticket, kReply), RecordKind::kDurableReply,
      WritersOf(ticket, RecordKind::kDurableReply), ticket, 0, nullptr);
}

absl::StatusOr<DurableStore::Request> DurableStore::ReadRequest(const std::string& ticket,
                                                                size_t limit) const {
  Request request;
  const auto record = ReadWithBody<DurableCallRecord>(
      *spool_, PathOf(ticket, kCall), RecordKind::kDurableCall,
      WritersOf(ticket, RecordKind::kDurableCall), ticket, limit, &request.bytes, &request);
  if (!record.ok()) return record.status();
  return request;
}

absl::StatusOr<DurableReplyRecord> DurableStore::Collect(const std::string& ticket, size_t limit,
                                                         std::string* body) const {
  const auto before = Look(ticket);
  if (!before.ok()) return before.status();
  if (!before->call) return NoSuchCall(spool_->durable_call(ticket));
  if (!before->reply) {
    return absl::UnavailableError(
        absl::StrCat("the durable call at ", spool_->durable_call(ticket), " has no reply yet"));
  }
  auto reply = ReadWithBody<DurableReplyRecord>(
      *spool_, PathOf(ticket, kReply), RecordKind::kDurableReply,
      WritersOf(ticket, RecordKind::kDurableReply), ticket, limit, body);
  // Whatever was read counts only if the call was still there then.
  const auto after = Look(ticket);
  if (!after.ok()) return after.status();
  if (!after->call) return NoSuchCall(spool_->durable_call(ticket));
  return reply;
}

// ---------------------------------------------------------------- the server

absl::StatusOr<bool> DurableStore::Claim(const DurableClaimRecord& record) const {
  const std::string directory = spool_->durable_call(record.ticket());
  if (record.number() == 0 || record.number() > kMaxNumber) {
    return absl::ResourceExhaustedError(
        absl::StrCat("claim ", directory, ": it was taken over too often; delete it"));
  }
  auto won = PublishName(*spool_, directory, absl::StrCat(kClaim, record.number()),
                         EncodeRecord(RecordKind::kDurableClaim, record), /*power_loss=*/false);
  if (!won.ok() || *won) return won;
  const auto there = ReadClaim(record.ticket(), record.number());
  return there.ok() && there->server_id() == record.server_id();
}

absl::StatusOr<bool> DurableStore::Start(const DurableStartedRecord& record,
                                         bool power_loss) const {
  const std::string directory = spool_->durable_call(record.ticket());
  auto won = PublishName(*spool_, directory, kStarted,
                         EncodeRecord(RecordKind::kDurableStarted, record), power_loss);
  if (!won.ok() || *won) return won;
  const auto there = ReadStarted(record.ticket());
  if (!there.ok()) {
    // (A damaged one is somebody's.)
    return absl::IsDataLoss(there.status()) ? absl::StatusOr<bool>(false) : there.status();
  }
  // Nobody's names everybody who cancels.
  if (there->server_id() != record.server_id()) return false;
  // It may come from an earlier attempt whose flush had failed.
  if (power_loss) {
    if (absl::Status s = os::SyncDirectory(spool_->env().calls, directory); !s.ok()) return s;
  }
  return true;
}

absl::StatusOr<bool> DurableStore::Reply(DurableReplyRecord record, absl::string_view body,
                                         bool power_loss) const {
  const std::string directory = spool_->durable_call(record.ticket());
  *record.mutable_process() = ToProcessIdentity(spool_->env().host->Self());
  record.set_finished_at(absl::ToUnixSeconds(spool_->env().clock->WallTime()));
  *record.mutable_body() = DescribeBody(RecordKind::kDurableReply, body);
  std::string content = EncodeRecord(RecordKind::kDurableReply, record);
  if (content.size() > kRecordHeaderSize + kMaxRecordSize) {
    return absl::InvalidArgumentError(absl::StrCat("write ", Join(directory, kReply),
                                                   ": status and metadata have ", content.size(),
                                                   " bytes"));
  }
  absl::StrAppend(&content, body);
  return PublishName(*spool_, directory, kReply, content, power_loss);
}

DurableReplyRecord DurableStore::MakeReply(const std::string& ticket, const absl::Status& status,
                                           int32_t reason, bool may_have_executed) {
  DurableReplyRecord record;
  record.set_ticket(ticket);
  record.mutable_header()->set_code(static_cast<int32_t>(status.code()));
  record.mutable_header()->set_message(std::string(status.message()));
  record.mutable_header()->set_reason(reason);
  record.set_may_have_executed(may_have_executed);
  return record;
}

// ---------------------------------------------------------------- ending

absl::StatusOr<bool> DurableStore::FinishCancel(const std::string& ticket, bool power_loss,
                                                bool may_have_executed) const {
  return Reply(MakeReply(ticket, absl::CancelledError("the durable call was cancelled"),
                         ErrorInfo::CANCELLED, may_have_executed),
               "", power_loss);
}

absl::StatusOr<DurableReplyRecord> DurableStore::Cancel(const std::string& ticket) const {
  const auto state = Look(ticket);
  if (!state.ok()) return state.status();
  if (!state->call) return NoSuchCall(spool_->durable_call(ticket));
  if (!MayDelete(ticket) && !spool_->MayServe(geteuid())) {
    return absl::PermissionDeniedError(absl::StrCat("the durable call at ",
                                                    spool_->durable_call(ticket),
                                                    " is another user's: he may cancel it"));
  }
  if (!state->reply) {
    bool power_loss = true;
    bool may_have_executed = true;
    const auto call = ReadCall(ticket);
    if (call.ok()) {
      power_loss = call->survives_power_loss();
      if (!call->idempotent()) {
        DurableStartedRecord started;
        started.set_ticket(ticket);
        *started.mutable_process() = ToProcessIdentity(spool_->env().host->Self());
        started.set_started_at(absl::ToUnixSeconds(spool_->env().clock->WallTime()));
        const auto won = Start(started, power_loss);
        if (!won.ok()) return won.status();
        may_have_executed = !*won;
        // Only while `call` is there nobody has deleted another's `started`.
        const auto after = Look(ticket);
        if (!after.ok()) return after.status();
        if (!after->call) return NoSuchCall(spool_->durable_call(ticket));
      }
    } else if (!absl::IsDataLoss(call.status())) {
      return call.status();
    }
    const auto ours = FinishCancel(ticket, power_loss, may_have_executed);
    if (!ours.ok()) return ours.status();
  }
  return Collect(ticket, 0, nullptr);
}

absl::Status DurableStore::Delete(const std::string& ticket) const {
  os::SystemCalls* const calls = spool_->env().calls;
  const std::string path = spool_->durable_call(ticket);
  const auto state = Look(ticket);
  if (!state.ok()) return state.status();
  if (!state->call) {
    RemoveRest(ticket).IgnoreError();
    return NoSuchCall(path);
  }
  // One that cannot be read may be of the kind that wants it.
  const auto record = ReadCall(ticket);
  const bool power_loss = !record.ok() || record->survives_power_loss();
  absl::Status removed = os::RemoveTree(calls, Join(path, kCall));
  if (!removed.ok()) return removed;
  // Nothing else may go as long as `call` can come back.
  if (power_loss) {
    if (absl::Status s = os::SyncDirectory(calls, path); !s.ok() && !absl::IsNotFound(s)) return s;
  }
  // What is left now is nobody's; servers see to it too.
  RemoveRest(ticket).IgnoreError();
  return absl::OkStatus();
}

absl::Status DurableStore::RemoveRest(const std::string& ticket) const {
  return os::RemoveTree(spool_->env().calls, spool_->durable_call(ticket));
}

bool DurableStore::MayDelete(const std::string& ticket) const {
  if (!spool_->group().has_value() || geteuid() == 0) return true;
  const auto info = os::StatPath(spool_->env().calls, spool_->durable_call(ticket));
  return info.ok() && info->uid == geteuid();
}

// ---------------------------------------------------------------- time, hints

absl::StatusOr<int64_t> DurableStore::Now() const {
  os::SystemCalls* const calls = spool_->env().calls;
  const std::string path = spool_->TemporaryPath(spool_->durable());
  const auto cleanup = absl::MakeCleanup([&] { os::RemoveFile(calls, path).IgnoreError(); });
  if (absl::Status s = os::WriteNewFile(calls, path, "", 0600, spool_->access().flushed_writes);
      !s.ok()) {
    return s;
  }
  const auto info = os::StatPath(calls, path);
  if (!info.ok()) return info.status();
  return info->modified_ns;
}

absl::StatusOr<int64_t> DurableStore::ModifiedTime(const std::string& ticket,
                                                   absl::string_view name) const {
  const auto info = os::StatPath(spool_->env().calls, PathOf(ticket, name));
  if (!info.ok()) return info.status();
  return info->modified_ns;
}

void DurableStore::RingServers() const {
  if (spool_->network()) return;
  const auto names = os::ListDirectory(spool_->env().calls, spool_->servers());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    std::string id;
    if (!ParseIdName(name, &id)) continue;
    const auto bell = wait::Doorbell::Attach(spool_->env().calls,
                                             Join(spool_->server(id), kDoorbell), spool_->owner());
    if (bell.ok()) (*bell)->RingInbox();
  }
}

}  // namespace spoolrpc::spool
