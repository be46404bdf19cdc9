#include "spoolrpc/server/durable_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/rpc/status_codec.h"
#include "spoolrpc/server/server_session.h"
#include "spoolrpc/spool/server_list.h"

namespace spoolrpc::server {
namespace {

using End = DurableCallOwner::End;

constexpr os::Nanos kMillisecond = 1000000;
// After a file operation that failed.
constexpr os::Nanos kTryAgain = 1000 * kMillisecond;
constexpr os::Nanos kQueueFullPause = 100 * kMillisecond;

}  // namespace

DurableCall::DurableCall(DurableCallOwner* owner, spool::DurableCallRecord record, uint64_t lapses,
                         uint32_t claim)
    : owner_(owner), record_(std::move(record)), lapses_(lapses), claim_(claim) {}

void DurableCall::End(DurableCallOwner::End end, os::Nanos delay) {
  if (!ended_.exchange(true)) owner_->OnEnded(ticket(), end, delay);
}

void DurableCall::GiveBack(os::Nanos delay) {
  spool::DurableClaimRecord record;
  record.set_ticket(ticket());
  record.set_number(claim_ + 1);
  *record.mutable_process() = spool::ToProcessIdentity(owner_->env().host->Self());
  // If it fails the call waits until this server's lease has run out, or this server finds its own
  // claim.
  if (const auto given = owner_->store().Claim(record);
      !given.ok() && !absl::IsNotFound(given.status())) {
    owner_->host()->Warn(given.status().ToString());
  }
  End(End::kLookAgain, delay);
}

CallSession::Start DurableCall::Prepare() {
  const spool::DurableStore& store = owner_->store();
  const auto failed = [&](const absl::Status& status) {
    if (!absl::IsNotFound(status)) owner_->host()->Warn(status.ToString());
    End(absl::IsNotFound(status) ? End::kGone : End::kLookAgain, kTryAgain);
    return Start::kDropped;
  };
  if (owner_->host()->draining() || !owner_->lease().Holds(lapses_, owner_->env().clock->Now())) {
    GiveBack(0);
    return Start::kDropped;
  }
  if (!record_.idempotent()) {
    spool::DurableStartedRecord started;
    started.set_ticket(ticket());
    started.set_server_id(owner_->server_id());
    *started.mutable_process() = spool::ToProcessIdentity(owner_->env().host->Self());
    started.set_lease_term_ns(owner_->lease().term());
    started.set_started_at(absl::ToUnixSeconds(owner_->env().clock->WallTime()));
    const auto won = store.Start(started, record_.survives_power_loss());
    if (!won.ok()) return failed(won.status());
    if (!*won) {
      End(End::kLookAgain);
      return Start::kDropped;
    }
  }
  // Only now: while `call` is there nobody has deleted a `started`.
  const auto state = store.Look(ticket());
  if (!state.ok()) return failed(state.status());
  if (!state->call || state->reply) {
    End(End::kGone);
    return Start::kDropped;
  }
  if (record_.idempotent() && state->claims > claim_) {
    End(End::kLookAgain);
    return Start::kDropped;
  }
  return Start::kRun;
}

CallSession::Start DurableCall::PrepareCall(const std::shared_ptr<ServerCall>& call) {
  if (call->cancelled()) {
    End(End::kLookAgain);
    return Start::kDropped;
  }
  return Prepare();
}

CallSession::Start DurableCall::CheckCall(const std::shared_ptr<ServerCall>& call) {
  if (call->cancelled()) {
    End(End::kLookAgain);
    return Start::kDropped;
  }
  const os::Nanos now = owner_->env().clock->Now();
  if (!owner_->lease().Holds(lapses_, now)) {
    if (record_.idempotent()) {
      GiveBack(0);
      return Start::kDropped;
    }
    Publish(spool::DurableStore::MakeReply(
                ticket(),
                absl::UnavailableError(
                    absl::StrCat(call->method()->info().full_name,
                                 ": the server's lease had lapsed before it could start the call")),
                ErrorInfo::NOT_STARTED, /*may_have_executed=*/false),
            "");
    return Start::kAnswered;
  }
  if (call->expired(now)) {
    Publish(
        spool::DurableStore::MakeReply(ticket(),
                                       absl::DeadlineExceededError(absl::StrCat(
                                           call->method()->info().full_name,
                                           ": the deadline passed before the call was started")),
                                       ErrorInfo::DEADLINE, /*may_have_executed=*/!first()),
        "");
    return Start::kAnswered;
  }
  return Start::kRun;
}

void DurableCall::Refuse(const absl::Status& status, int32_t reason) {
  if (Prepare() != Start::kRun) return;
  Publish(spool::DurableStore::MakeReply(ticket(), status, reason, !first()), "");
}

void DurableCall::RejectCall(const std::shared_ptr<ServerCall>&, wire::NotStarted why,
                             const absl::Status&) {
  GiveBack(why == wire::NOT_STARTED_QUEUE_FULL ? kQueueFullPause : 0);
}

void DurableCall::EndCall(const std::shared_ptr<ServerCall>& call) {
  call->TakePlaceAfterReply();
  const char* const method = call->method()->info().full_name;
  if (call->expired(owner_->env().clock->Now())) {
    call->FailReply(absl::DeadlineExceededError(absl::StrCat(method, ": the deadline passed")),
                    ErrorInfo::DEADLINE);
  } else if (call->status().ok() && call->reply_size() > max_reply_size()) {
    call->FailReply(absl::ResourceExhaustedError(
                        absl::StrCat(method, ": the reply has ", call->reply_size(),
                                     " bytes, this server sends at most ", max_reply_size())),
                    ErrorInfo::MESSAGE_TOO_LARGE);
  }
  spool::DurableReplyRecord record;
  record.set_ticket(ticket());
  record.set_may_have_executed(true);
  if (!call->status().ok()) rpc::EncodeStatus(call->status(), record.mutable_header());
  record.mutable_header()->set_reason(call->reason());
  call->EncodeMetadata(record.mutable_header());
  std::string body;
  if (call->status().ok() && call->reply() != nullptr) {
    call->reply()->SerializePartialToString(&body);
  }
  Publish(std::move(record), std::move(body));
}

void DurableCall::Publish(spool::DurableReplyRecord record, std::string body) {
  record.set_server_id(owner_->server_id());
  const bool power_loss = record_.survives_power_loss();
  auto published = owner_->store().Reply(record, body, power_loss);
  if (absl::IsInvalidArgument(published.status())) {
    record = spool::DurableStore::MakeReply(
        ticket(),
        absl::InternalError(absl::StrCat(record_.header().method(), ": the handler's status has ",
                                         "too much text or too many details to be kept")),
        0, true);
    record.set_server_id(owner_->server_id());
    body.clear();
    published = owner_->store().Reply(record, body, power_loss);
  }
  if (published.ok() || absl::IsNotFound(published.status())) {
    End(End::kDone);
    return;
  }
  owner_->host()->Warn(absl::StrCat("the reply of a durable call is kept until it can be written: ",
                                    published.status().ToString()));
  if (!ended_.exchange(true)) owner_->KeepReply(std::move(record), std::move(body), power_loss);
}

}  // namespace spoolrpc::server
