#include "spoolrpc/server/server_session.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/compress/message_codec.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/link/raw_message.h"
#include "spoolrpc/rpc/status_codec.h"
#include "spoolrpc/spool/server_list.h"

namespace spoolrpc::server {
namespace {

constexpr uint64_t kUnreadSlack = uint64_t{256} << 20;
constexpr uint64_t kLargestMessage = uint64_t{2} << 30;  // that protobuf knows
// A client without open calls renews every 6 terms; one that was silent for 18 is dead.
constexpr int kTermsOfIdleClient = 18;
// How often the files of an idle session are read whose doorbells work; and if the kernel also
// tells when the client ends.
constexpr int kTermsBetweenReadings = 3;
constexpr int kTermsBetweenReadingsWatched = 12;
// How long nobody looks at an idle session whose doorbells work and of which nothing is mapped.
constexpr int kTermsBetweenLooks = 1;
constexpr int kTermsBetweenLooksWatched = 4;
constexpr os::Nanos kDoubtLook = 20 * 1000000;

bool OffersZstd(const spool::SessionRecord& record) {
  const auto& names = record.message_encodings();
  return std::find(names.begin(), names.end(), compress::kZstd) != names.end();
}

}  // namespace

ServerSession::ServerSession(ServerSessionOptions options)
    : env_(options.env),
      host_(options.host),
      methods_(options.methods),
      id_(options.accepted->record.session_id()),
      client_(spool::ToProcessId(options.accepted->record.process())),
      peer_{std::make_shared<const std::string>(
                absl::StrCat("spool:", options.spool_path, "#", spool::IdName(id_), " ",
                             client_.host, ":", client_.pid, " uid ", options.accepted->uid)),
            {options.accepted->uid, options.accepted->gid}},
      slot_(options.slot),
      term_(options.term),
      client_term_(std::clamp<uint64_t>(options.accepted->record.lease_term_ns(), 100000000,
                                        uint64_t{86400} * 1000000000)),
      zstd_(OffersZstd(options.accepted->record)),
      max_request_size_(options.max_request_size),
      max_reply_size_(options.max_reply_size),
      max_unread_(std::min<uint64_t>(max_reply_size_, kLargestMessage) + kUnreadSlack),
      discard_pending_(options.discard_pending),
      server_started_(options.server_started),
      schedule_(options.poll_interval, options.env.clock->Now()) {
  link::LinkOptions link;
  link.env = env_;
  link.flusher = options.flusher;
  link.writer = std::move(options.accepted->responses);
  link.reader = std::move(options.accepted->requests);
  link.own_bell = slot_ == spool::ServerDirectory::kNoSlot ? nullptr : options.own_bell;
  link.own_slot = slot_;
  link.peer_bell = std::move(options.accepted->client_doorbell);
  link.own_term = term_;
  link.peer_term = client_term_;
  SetUpSameHost(options, &link);
  link_ = std::make_shared<link::SessionLink>(std::move(link));
  idle_since_ = env_.clock->Now();
}

ServerSession::~ServerSession() = default;

// ---------------------------------------------------------------- reading

int ServerSession::OnRung(log::AlignedBuffer* buffer) {
  if (ended()) return 0;
  if (!link_->TryBeginPoll()) {
    // Nobody rings twice: if the one who polls does not look once more, nobody does for a while.
    missed_ring_.store(true, std::memory_order_seq_cst);
    if (!link_->TryBeginPoll()) return 0;
  }
  const int frames = PollOnce(/*force=*/false, /*inline_allowed=*/true, buffer);
  link_->EndPoll();
  return frames;
}

os::Nanos ServerSession::Look(log::AlignedBuffer* buffer) {
  if (ended()) {
    if (retired_.load(std::memory_order_acquire)) return -1;
    if (client_closed()) return env_.clock->Now() + kDoubtLook;
    // Only to learn when the client has seen the goodbye.
    if (link_->TryBeginPoll()) {
      link_->ReadHeadNext();
      const auto result =
          link_->Poll(true, buffer, [](const log::Frame&) { return absl::OkStatus(); });
      link_->EndPoll();
      if (result.end != link::PollResult::End::kNone) client_closed_ = true;
    }
    return env_.clock->Now() + kDoubtLook;
  }
  if (!link_->TryBeginPoll()) return env_.clock->Now() + kDoubtLook;
  const os::Nanos now = env_.clock->Now();
  // (Both.)
  const bool written_mapped = link_->Housekeep(now);
  const bool mapped = link_->HousekeepReading() || written_mapped;
  const bool busy = open_.load(std::memory_order_relaxed) > 0;
  const bool doubt = in_doubt_.load(std::memory_order_relaxed);
  const bool quiet = !busy && !doubt && link_->bells_trusted();
  const bool watched = client_watched_.load(std::memory_order_relaxed);
  const int terms = watched ? kTermsBetweenReadingsWatched : kTermsBetweenReadings;
  const bool read = !quiet || now - link_->last_reading() >= term_ * terms;
  if (doubt || (read && !busy && now - idle_since_ >= client_term_)) link_->ReadHeadNext();
  PollOnce(read, /*inline_allowed=*/false, buffer);
  const uint64_t counter = link_->peer_counter();
  if (busy || counter != idle_counter_) {
    idle_counter_ = counter;
    idle_since_ = now;
  }
  const os::Nanos head = link_->next_head_reading();
  const os::Nanos next = schedule_.Next(now);
  link_->EndPoll();  // others may poll from here on
  if (ended()) return now + kDoubtLook;
  if (missed_ring_.load(std::memory_order_seq_cst)) return env_.clock->Now();
  if (now - idle_since_ > client_term_ * kTermsOfIdleClient) {
    if (env_.host->Look(client_) != os::Liveness::kAlive) {
      End(wire::Goodbye::EXPIRED, "the client's lease has expired", /*client_gone=*/true);
      return now + kDoubtLook;
    }
    idle_since_ = now;
  }
  if (in_doubt_.load(std::memory_order_relaxed)) return now + kDoubtLook;
  if (!link_->bells_trusted()) return std::min(next, head);
  // While calls are open well before there is a gap, by CheckGap(), whatever the doorbell's loop
  // does. (When one is opened the host has this looked at.)
  os::Nanos pause = term_ * 3 / 8;
  if (!busy && !mapped && !renewing_.load(std::memory_order_seq_cst)) {
    pause = term_ * (watched ? kTermsBetweenLooksWatched : kTermsBetweenLooks);
  }
  // At times that idle sessions share: a thousand of them wake a thread as often as one.
  const os::Nanos step = term_ / 8;
  return std::min((now + pause) / step * step, head);
}

os::Nanos ServerSession::last_look() const {
  // First: what it says is true of this session only if that has missed no ring by then.
  const os::Nanos bell = host_->bell_looked_at();
  const os::Nanos own = link_->last_look();
  // (What was rung for and not read yet is none of the doorbell's business any more.)
  if (!link_->bells_trusted() || missed_ring_.load(std::memory_order_seq_cst)) return own;
  return std::max(own, bell);
}

void ServerSession::CheckGap(os::Nanos now) {
  // The process was stopped, or the file system stalled: what is found now may be long given up.
  if (now - last_look() > term_ / 2) Doubt();
}

void ServerSession::Doubt() {
  {
    absl::MutexLock lock(&mu_);
    if (in_doubt_.exchange(true, std::memory_order_relaxed)) return;
    doubt_counter_ = 0;
    doubt_renewed_ = env_.clock->Now();
    link_->RestartLease();
  }
  host_->LookSoon({this});
}

void ServerSession::ResolveDoubt(log::AlignedBuffer* buffer,
                                 std::vector<std::shared_ptr<ServerCall>>* ready) {
  if (!in_doubt_.load(std::memory_order_relaxed)) return;
  const bool idle = [&] {
    absl::MutexLock lock(&mu_);
    return calls_.empty();
  }();
  const os::Nanos now = env_.clock->Now();
  if (idle) {
    // The look that this follows began without any gap behind it, and found nothing: whatever comes
    // now is watched only from now on.
    link_->OnLeaseUnwatched(link_->last_look());
    in_doubt_.store(false, std::memory_order_relaxed);
    return;
  }
  // First the own lease, then what the client's counter is, and then it has to move from there.
  if (link_->own_lease().valid(now) && host_->MayExecute(now)) {
    const auto head = link_->ReadHeadAnew(buffer);
    if (head.ok()) {
      if (doubt_counter_ == 0) {
        doubt_counter_ = head->counter;
      } else if (head->counter != doubt_counter_ && head->state != log::WriterState::kClosed) {
        absl::MutexLock lock(&mu_);
        in_doubt_.store(false, std::memory_order_relaxed);
        ready->insert(ready->begin(), held_.begin(), held_.end());
        held_.clear();
        return;
      }
    }
  } else if (now - doubt_renewed_ > term_ / 4) {
    // That renewal came back too late, or it has lapsed again meanwhile.
    doubt_counter_ = 0;
    doubt_renewed_ = now;
    link_->RestartLease();
  }
  absl::MutexLock lock(&mu_);
  held_.insert(held_.end(), ready->begin(), ready->end());
  ready->clear();
}

int ServerSession::PollOnce(bool force, bool inline_allowed, log::AlignedBuffer* buffer) {
  const os::Nanos began = env_.clock->Now();
  CheckGap(began);
  {
    absl::MutexLock lock(&mu_);
    look_before_ = last_look();
  }
  // Whoever sets it from here on rang for what this may not find.
  missed_ring_.store(false, std::memory_order_seq_cst);
  const bool doubt = in_doubt_.load(std::memory_order_relaxed);
  if (doubt) link_->ReadHeadNext();
  const link::PollResult result = link_->Poll(
      force || doubt, buffer, [this](const log::Frame& frame) { return OnFrame(frame); });
  if (result.frames > 0) schedule_.OnActivity(env_.clock->Now());
  switch (result.end) {
    case link::PollResult::End::kNone:
      break;
    case link::PollResult::End::kPeerClosed:
      client_closed_ = true;
      End(wire::Goodbye::CLOSED, "", /*client_gone=*/false);
      break;
    case link::PollResult::End::kLeaseExpired:
      host_->Warn(absl::StrCat("session ", *peer_.name, ": ", result.status.message()));
      End(wire::Goodbye::EXPIRED, std::string(result.status.message()),
          env_.host->Look(client_) == os::Liveness::kDead);
      break;
    case link::PollResult::End::kCorrupt:
      host_->Warn(absl::StrCat("session ", *peer_.name, ": ", result.status.ToString()));
      End(wire::Goodbye::CORRUPT, std::string(result.status.message()), false);
      break;
    case link::PollResult::End::kFailed: {
      const bool gone = absl::IsNotFound(result.status);
      if (gone) client_closed_ = true;
      if (!gone) host_->Warn(absl::StrCat("session ", *peer_.name, ": ", result.status.ToString()));
      End(wire::Goodbye::PROTOCOL_ERROR, std::string(result.status.message()), gone);
      break;
    }
  }
  std::vector<std::shared_ptr<ServerCall>> ready;
  bool flush = false;
  bool goodbye = false;
  {
    absl::MutexLock lock(&mu_);
    ready.swap(ready_);
    std::swap(flush, answers_);
    goodbye = goodbye_;
  }
  if (goodbye) {
    client_closed_ = true;
    End(wire::Goodbye::CLOSED, "", /*client_gone=*/false);
    return result.frames;
  }
  if (flush) Flush();
  ResolveDoubt(buffer, &ready);
  if (!ready.empty()) host_->Dispatch(std::move(ready), inline_allowed);
  return result.frames;
}

// ---------------------------------------------------------------- calls

void ServerSession::Open(uint64_t id, const std::shared_ptr<ServerCall>& call) {
  calls_.emplace(id, call);
  if (open_.fetch_add(1, std::memory_order_seq_cst) == 0) {
    HaveLeaseRenewed();
    link_->WatchPeer(0);
    // The client watches this side's lease from when the CALL was flushed, and the look before this
    // one did not find it yet.
    if (!in_doubt_.load(std::memory_order_relaxed)) link_->OnLeaseUnwatched(look_before_);
  }
}

void ServerSession::HaveLeaseRenewed() {
  if (renewing_.load(std::memory_order_seq_cst) || renewing_.exchange(true)) return;
  host_->RenewLeaseOf(shared_from_this());
}

bool ServerSession::Close(ServerCall* call, absl::StatusCode code) {
  CountEnd(call, code);
  // This may be the last reference to it.
  if (calls_.erase(call->id()) == 0) return false;
  if (open_.fetch_sub(1, std::memory_order_relaxed) == 1) link_->UnwatchPeer();
  return true;
}

void ServerSession::CountEnd(ServerCall* call, absl::StatusCode code) {
  if (!call->counter().counts() || std::exchange(call->counted, true)) return;
  call->counter().OnEnd(code);
}

void ServerSession::Refuse(uint64_t id, const MethodEntry& method, const absl::Status& status,
                           wire::NotStarted not_started, int32_t reason) {
  if (method.metrics() != nullptr) {
    metrics::CallCounter(method.metrics(), env_.clock, env_.clock->Now()).OnEnd(status.code());
  }
  Answer(id, status, not_started, reason);
}

void ServerSession::Answer(uint64_t id, const absl::Status& status, wire::NotStarted not_started,
                           int32_t reason) {
  wire::ReplyHeader header;
  rpc::EncodeStatus(status, &header);
  header.set_not_started(not_started);
  header.set_reason(reason);
  link_->SendMessage(log::FrameType::kReply, log::kAcked, id, &header, nullptr, 0);
  HaveLeaseRenewed();  // as long as it waits for room
  answers_ = true;
}

ServerSession::Start ServerSession::Drop(const std::shared_ptr<ServerCall>& call) {
  absl::MutexLock lock(&mu_);
  Close(call.get(), absl::StatusCode::kCancelled);
  return Start::kDropped;
}

ServerSession::Start ServerSession::PrepareCall(const std::shared_ptr<ServerCall>& call) {
  if (ended() || call->cancelled()) return Drop(call);
  if (host_->draining()) {
    RejectCall(call, wire::NOT_STARTED_DRAINING, absl::UnavailableError("the server is draining"));
    return Start::kAnswered;
  }
  if (link_->waiting() > max_unread_) {
    RejectCall(call, wire::NOT_STARTED_QUEUE_FULL,
               absl::ResourceExhaustedError(absl::StrCat(
                   call->method()->info().full_name,
                   ": too many replies wait for this client to read them; send fewer calls at "
                   "once")));
    return Start::kAnswered;
  }
  if (const Start read = ReadBulkRequest(call); read != Start::kRun) return read;
  if (!call->method()->info().ack_before_execution) return Start::kRun;
  Acknowledge(call);
  // Flushed before the lease is checked: who does not find it after the lease has expired may send
  // the call again. And marked, so that an acknowledgement that is lost is not taken for none.
  if (absl::Status s = link_->FlushMarkedAndWait(absl::Nanoseconds(term_)); !s.ok()) {
    // Without a flushed acknowledgement the server may not run the call, and cannot tell the client
    // either: the session is over.
    End(wire::Goodbye::STEPPED_DOWN, std::string(s.message()), false);
    return Start::kDropped;
  }
  return Start::kRun;
}

ServerSession::Start ServerSession::CheckCall(const std::shared_ptr<ServerCall>& call) {
  // (Others of its batch may have waited since it was prepared.)
  if (ended() || call->cancelled()) return Drop(call);
  const os::Nanos now = env_.clock->Now();
  if (call->expired(now)) {
    {
      absl::MutexLock lock(&mu_);
      if (Close(call.get(), absl::StatusCode::kDeadlineExceeded)) {
        Answer(call->id(),
               absl::DeadlineExceededError(
                   absl::StrCat(call->method()->info().full_name,
                                ": the deadline passed before the call was started")),
               wire::NOT_STARTED_NO, 0);
        answers_ = false;
      }
    }
    Flush();
    return Start::kAnswered;
  }
  // The lease as it is now, after the acknowledgement. (One that had lapsed stays so, whatever was
  // renewed since.)
  if (now - link_->last_look() > term_ / 2 || !link_->own_lease().valid(now) ||
      !host_->MayExecute(now)) {
    Doubt();
  }
  absl::MutexLock lock(&mu_);
  if (ended()) return Start::kDropped;
  if (in_doubt_.load(std::memory_order_relaxed)) {
    held_.push_back(call);
    return Start::kHeld;
  }
  call->started = true;
  return Start::kRun;
}

void ServerSession::EndCall(const std::shared_ptr<ServerCall>& call) {
  call->TakePlaceAfterReply();
  if (call->status().ok() && call->reply_size() > max_reply_size_) {
    call->FailReply(absl::ResourceExhaustedError(absl::StrCat(
                        call->method()->info().full_name, ": the reply has ", call->reply_size(),
                        " bytes, this server sends at most ", max_reply_size_)),
                    ErrorInfo::MESSAGE_TOO_LARGE);
  }
  std::string compressed;
  if (call->status().ok() && call->reply_size() > 0 && call->compresses()) {
    call->reply()->SerializePartialToString(&compressed);
    if (!call->Compress(&compressed)) compressed.clear();
  }
  std::unique_ptr<link::BulkLoan> bulk;
  if (!compressed.empty()) {
    bulk = link_->PrepareBulk(compressed);
  } else if (call->status().ok() && call->reply_size() > 0 && !ended()) {
    bulk = link_->PrepareBulk(*call->reply(), call->reply_size());
  }
  if (const auto* const raw = link::RawMessage::From(call->reply());
      raw != nullptr && call->status().ok() && raw->lost()) {
    bulk = nullptr;
    compressed.clear();
    call->FailReply(absl::DataLossError(absl::StrCat(call->method()->info().full_name,
                                                     ": the reply's bytes lay in a file that was "
                                                     "truncated, or whose disk has failed")),
                    ErrorInfo::FILE_SYSTEM);
  }
  wire::ReplyHeader header;
  if (!call->status().ok()) rpc::EncodeStatus(call->status(), &header);
  header.set_reason(call->reason());
  call->EncodeMetadata(&header);
  // (One frame has all of it.)
  if (bulk != nullptr && link::kHeaderSizeField + header.ByteSizeLong() + link::kBulkReferenceSize >
                             link_->max_single()) {
    bulk = nullptr;
  }
  absl::MutexLock lock(&mu_);
  // Nobody takes the reply of a session that has ended.
  if (ended()) {
    Close(call.get(), absl::StatusCode::kCancelled);
    return;
  }
  if (calls_.find(call->id()) == calls_.end()) {
    CountEnd(call.get(), call->status().code());
    return;
  }
  if (call->status().ok() && call->reply() != nullptr) call->counter().OnSend(call->reply_size());
  const uint8_t flags = call->acknowledged ? 0 : log::kAcked;
  if (bulk != nullptr) {
    link_->SendBulk(log::FrameType::kReply, compressed.empty() ? flags : flags | log::kCompressed,
                    call->id(), &header, std::move(bulk));
  } else if (!compressed.empty()) {
    link_->SendBytes(log::FrameType::kReply, flags | log::kCompressed, call->id(), &header,
                     compressed);
  } else if (call->status().ok() && call->reply() != nullptr) {
    link_->SendMessage(log::FrameType::kReply, flags, call->id(), &header, call->reply(),
                       call->reply_size());
  } else {
    link_->SendMessage(log::FrameType::kReply, flags, call->id(), &header, nullptr, 0);
  }
  // Only now: to write a large reply into memory may take seconds, and as long as the call is open
  // the lease is renewed.
  Close(call.get(), call->status().code());
}

void ServerSession::SendPart(ServerCall* call, log::FrameType type, uint8_t flags,
                             absl::string_view bytes) {
  absl::MutexLock lock(&mu_);
  if (ended() || calls_.find(call->id()) == calls_.end()) return;
  call->acknowledged = true;
  link_->SendBytes(type, flags, call->id(), nullptr, bytes);
}

void ServerSession::SendCredit(uint64_t call, uint64_t total) {
  {
    absl::MutexLock lock(&mu_);
    if (ended() || calls_.find(call) == calls_.end()) return;
    std::string payload(sizeof(total), '\0');
    memcpy(payload.data(), &total, sizeof(total));
    link_->SendControl(log::FrameType::kCredit, 0, call, std::move(payload));
  }
  Flush();
}

void ServerSession::RejectCall(const std::shared_ptr<ServerCall>& call, wire::NotStarted why,
                               const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    if (!Close(call.get(), status.code()) || ended()) return;
    Answer(call->id(), status, why, 0);
    answers_ = false;
  }
  Flush();
}

void ServerSession::Acknowledge(const std::shared_ptr<ServerCall>& call) {
  {
    absl::MutexLock lock(&mu_);
    if (call->acknowledged || ended() || calls_.find(call->id()) == calls_.end()) return;
    call->acknowledged = true;
    link_->SendControl(log::FrameType::kAck, 0, call->id());
  }
  Flush();
}

void ServerSession::Flush() {
  if (!link::FlushScope::Defer(this)) FlushNow();
}

void ServerSession::FlushNow() {
  if (const absl::Status s = link_->Flush(); !s.ok() && !ended()) {
    host_->Warn(absl::StrCat("session ", *peer_.name, ": ", s.ToString()));
    End(wire::Goodbye::CLOSED, std::string(s.message()), false);
  }
}

// ---------------------------------------------------------------- life

bool ServerSession::RenewLease(os::Nanos now) {
  if (ended()) return false;
  // (The client also waits for replies that wait for room.)
  if (open_.load(std::memory_order_relaxed) == 0 && !link_->backlogged()) {
    renewing_.store(false, std::memory_order_seq_cst);
    // Whoever opens a call now, or sends what waits, either sees that, and asks the host, or is
    // seen here.
    if (open_.load(std::memory_order_seq_cst) == 0 && !link_->backlogged()) return false;
    if (renewing_.exchange(true)) return false;
    host_->LookSoon({this});  // (a look may have seen neither)
  }
  if (link_->own_lease().due(now)) link_->Renew(log::WriterState::kOpen).IgnoreError();
  return true;
}

void ServerSession::Drain() { link_->Renew(log::WriterState::kDraining).IgnoreError(); }

void ServerSession::OnClientDead() {
  End(wire::Goodbye::EXPIRED, "the client's process has ended", /*client_gone=*/true);
}

void ServerSession::CancelAll() {
  absl::MutexLock lock(&mu_);
  for (const auto& [id, call] : calls_) call->Cancel();
}

void ServerSession::End(wire::Goodbye::Cause cause, const std::string& detail, bool client_gone) {
  {
    absl::MutexLock lock(&mu_);
    if (ended_.exchange(true, std::memory_order_acq_rel)) return;
    for (const auto& [id, call] : calls_) {
      call->Cancel();
      // What was read and is on its way to the queue is returned in the same step.
      const bool returned = cause == wire::Goodbye::DRAINED && !call->started;
      // (One whose handler runs is counted when that has ended.)
      if (!call->started) {
        CountEnd(call.get(),
                 returned ? absl::StatusCode::kUnavailable : absl::StatusCode::kCancelled);
      }
      if (returned) {
        Answer(id, absl::UnavailableError("the server is draining"), wire::NOT_STARTED_DRAINING, 0);
      }
    }
    answers_ = false;
    calls_.clear();  // they hold this session
    open_.store(0, std::memory_order_relaxed);
    partial_.clear();
    ready_.clear();
    held_.clear();
    wire::Goodbye goodbye;
    goodbye.set_cause(cause);
    goodbye.set_detail(detail.substr(0, 1024));
    goodbye.set_read_position(read_position_);
    link_->SendControl(log::FrameType::kGoodbye, 0, 0, goodbye.SerializeAsString());
  }
  if (client_gone) client_closed_ = true;
  link_->UnwatchPeer();
  link_->Renew(log::WriterState::kClosed).IgnoreError();
  host_->OnSessionEnded(this, client_gone);
}

}  // namespace spoolrpc::server
