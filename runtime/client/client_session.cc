#include "spoolrpc/client/client_session.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/client/retry_policy.h"
#include "spoolrpc/compress/message_codec.h"
#include "spoolrpc/exec/reaper.h"
#include "spoolrpc/link/raw_message.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::client {
namespace {

constexpr size_t kBufferSize = 2 * 65536;
// How often a session without calls is looked at on a network file system, for a goodbye.
constexpr os::Nanos kIdleLook = os::Nanos{1000000000};
// An idle client renews its lease every so many terms.
constexpr int kIdleTerms = 6;
constexpr absl::Duration kCloseTimeout = absl::Seconds(2);

template <typename Names>
bool Offers(const Names& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

ClientSession::ClientSession(ClientSessionOptions options)
    : env_(options.env),
      spool_(std::move(options.spool)),
      server_(std::move(options.server)),
      directory_(std::move(options.directory)),
      peer_(std::make_shared<const std::string>(
          absl::StrCat("spool:", spool_->root(), "#", spool::IdName(server_.id), " ",
                       server_.record->process().host(), ":", server_.record->process().pid()))),
      max_request_size_(options.max_request_size),
      zstd_(client::Offers(server_.record->message_encodings(), compress::kZstd)),
      term_(options.term),
      pollers_(options.pollers.get()),
      own_bell_(options.own_bell != nullptr ? std::move(options.own_bell)
                                            : wait::Doorbell::InMemory(1)),
      spin_(options.env.host->Cpus(), options.spin),
      schedule_(options.poll_interval, options.env.clock->Now()),
      buffer_(std::make_unique<log::AlignedBuffer>(kBufferSize)) {
  link::LinkOptions link;
  link.env = env_;
  link.flusher = options.flusher;
  link.writer = std::move(options.writer);
  link.reader = std::move(options.reader);
  link.own_bell = own_bell_.get();
  link.peer_bell = std::move(options.server_bell);
  link.peer_slot = options.server_slot;
  link.own_term = term_;
  link.peer_term = static_cast<os::Nanos>(server_.record->lease_term_ns());
  SetUpSameHost(options, &link);
  if (network()) {
    // Nobody answers a call before it is written: until then nobody looks for the answer.
    link.on_written = [expecting = expecting_, this_session = static_cast<link::Pollable*>(this),
                       pollers = std::weak_ptr<link::PollerThreads>(options.pollers)] {
      if (!expecting->load(std::memory_order_relaxed)) return;
      if (const auto threads = pollers.lock()) threads->Wake(this_session);
    };
  }
  link_ = std::make_shared<link::SessionLink>(std::move(link));
}

ClientSession::~ClientSession() {
  std::list<Reader> readers;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;  // and from here on there is no further reader
    async_changed_.SignalAll();
    readers.swap(readers_);
  }
  own_bell_->Wake();
  for (Reader& reader : readers) reader.thread.join();
}

std::shared_ptr<ClientSession> ClientSession::Make(ClientSessionOptions options,
                                                   std::function<void()> on_destroyed) {
  const auto destroy = [on_destroyed = std::move(on_destroyed)](ClientSession* session) {
    // Whoever has no reference any more begins no callback: this one is the last.
    const bool in_callbacks = session->in_callbacks_.load(std::memory_order_acquire) > 0;
    const auto now = [session, on_destroyed] {
      delete session;
      on_destroyed();
    };
    if (in_callbacks && !exec::Reaper::OnThisThread()) {
      exec::Reaper::Run(now);
    } else {
      now();
    }
  };
  return {new ClientSession(std::move(options)), destroy};
}

// ---------------------------------------------------------------- a call

void ClientSession::Run(ClientCall* call) {
  if (!Begin(call)) return;
  Wait(call, 0);
  ParseReply(call);
}

bool ClientSession::Begin(ClientCall* call) {
  if (call->request_size > max_request_size_) {
    call->status =
        rpc::TransportError(absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
                            absl::StrCat("the request has ", call->request_size,
                                         " bytes, the server accepts ", max_request_size_),
                            false, call->method->full_name);
    return false;
  }
  call->context.SetPeer(peer_);
  return Start(call);
}

void ClientSession::Await(ClientCall* call, uint32_t seen) { Wait(call, seen); }

void ClientSession::ParseReply(ClientCall* call) {
  // Off the session's lock: it may be large.
  if (!call->parse_reply_bytes) return;
  call->parse_reply_bytes = false;
  TakeReply(call, call->reply_bytes->bytes());
}

void ClientSession::SendMessage(const ClientCall& call, uint8_t flags, absl::string_view bytes) {
  link_->SendBytes(log::FrameType::kMessage, flags, call.id, nullptr, bytes);
}

void ClientSession::SendHalfClose(const ClientCall& call) {
  link_->SendBytes(log::FrameType::kHalfClose, 0, call.id, nullptr, "");
}

void ClientSession::SendCredit(const ClientCall& call, uint64_t total) {
  std::string payload(sizeof(total), '\0');
  memcpy(payload.data(), &total, sizeof(total));
  link_->SendControl(log::FrameType::kCredit, 0, call.id, std::move(payload));
}

void ClientSession::Flush() {
  if (!link::FlushScope::Defer(this)) FlushNow();
}

void ClientSession::FlushNow() {
  if (absl::Status s = link_->Flush(); !s.ok()) Lose(ErrorInfo::FILE_SYSTEM, s, {});
}

void ClientSession::GiveUpIfDue(ClientCall* call) {
  const os::Nanos now = env_.clock->Now();
  const bool acknowledged = call->acknowledged.load(std::memory_order_acquire);
  if (call->context.cancelled() || now >= call->deadline ||
      (!acknowledged && now >= call->ack_deadline)) {
    GiveUp(call, now);
  }
}

void ClientSession::Fail(ClientCall* call, absl::Status status) {
  {
    absl::MutexLock lock(&mu_);
    if (call->done.load(std::memory_order_relaxed)) return;
    Break(call, std::move(status));
  }
  WakeReader();
  Flush();
}

void ClientSession::Break(ClientCall* call, absl::Status status) {
  const uint64_t id = call->id;
  if (!link_->TakeBack(id)) link_->SendControl(log::FrameType::kCancel, 0, id);
  Finish(call, std::move(status), /*resend=*/false);
}

bool ClientSession::Start(ClientCall* call) {
  wire::CallHeader header;
  const os::Nanos now = env_.clock->Now();
  if (call->deadline != os::kNever) {
    header.set_timeout_ns(std::max<os::Nanos>(0, call->deadline - now));
  }
  header.set_waited_ns(std::max<os::Nanos>(0, now - call->began));
  if (!call->context.metadata().empty()) {
    rpc::EncodeMetadata(call->context.metadata(), header.mutable_metadata());
  }
  if (call->previous_attempts > 0) {
    wire::Metadata* const attempts = header.add_metadata();
    attempts->set_key(kPreviousAttemptsKey);
    attempts->set_value(absl::StrCat(call->previous_attempts));
  }
  header.set_kind(static_cast<wire::MethodKind>(call->method->kind));
  // Compressed if that makes it smaller.
  std::string compressed;
  size_t size = call->request_size;
  if (size > 0 && Takes(call->compression)) {
    std::string bytes;
    call->request->SerializePartialToString(&bytes);
    if (!compress::Compress(bytes, &compressed).ok() || compressed.size() >= size) {
      compressed.clear();
    } else {
      size = compressed.size();
    }
  }
  auto bulk = compressed.empty() ? size > 0 ? link_->PrepareBulk(*call->request, size) : nullptr
                                 : link_->PrepareBulk(compressed);
  if (const auto* const raw = link::RawMessage::From(call->request);
      raw != nullptr && raw->lost()) {
    call->status = rpc::TransportError(
        absl::StatusCode::kDataLoss, ErrorInfo::FILE_SYSTEM,
        "the request's bytes lay in a file that was truncated, or whose disk has failed", false,
        call->method->full_name);
    call->done.store(true, std::memory_order_release);
    return false;
  }
  bool renew = false;
  bool first = false;
  {
    absl::MutexLock lock(&mu_);
    if (!usable()) {
      call->resend = true;
      call->done.store(true, std::memory_order_release);
      return false;
    }
    const auto it = method_ids_
                        .emplace(call->method->full_name,
                                 MethodId{static_cast<uint32_t>(method_ids_.size() + 1), false})
                        .first;
    header.set_method_id(it->second.id);
    if (!it->second.told) header.set_method(call->method->full_name);
    const size_t header_size = header.ByteSizeLong();
    if (link::kHeaderSizeField + header_size + 16 > link_->max_single()) {
      call->status = rpc::TransportError(
          absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
          absl::StrCat("metadata and method name take ", header_size, " bytes, more than the ",
                       link_->max_single(),
                       " of the request log's frames; raise ChannelOptions.log_capacity"),
          false, call->method->full_name);
      call->done.store(true, std::memory_order_release);
      return false;
    }
    // (A reference takes its place in the same frame.)
    if (bulk != nullptr &&
        link::kHeaderSizeField + header_size + link::kBulkReferenceSize > link_->max_single()) {
      bulk = nullptr;
    }
    call->id = next_call_++;
    if (bulk == nullptr && link::kHeaderSizeField + header_size + 16 + size > link_->max_single()) {
      header.set_message_size(size);
    }
    calls_.emplace(call->id, call);
    if (call->async && !network() && async_open_++ == 0) {
      if (readers_.empty()) {
        StartReader();
      } else {
        async_changed_.SignalAll();
      }
    }
    if (open_.fetch_add(1, std::memory_order_relaxed) == 0) {
      renew = link_->own_lease().due(now);
      first = true;
    }
    const uint8_t flags = compressed.empty() ? 0 : log::kCompressed;
    call->position =
        bulk != nullptr
            ? link_->SendBulk(log::FrameType::kCall, flags, call->id, &header, std::move(bulk))
        : compressed.empty()
            ? link_->SendMessage(log::FrameType::kCall, flags, call->id, &header, call->request,
                                 size)
            : link_->SendBytes(log::FrameType::kCall, flags, call->id, &header, compressed);
    // What still waits for room may yet be taken back, and its method's name with it.
    if (!it->second.told) it->second.told = !link_->backlogged();
    // From when the server can know of the call.
    if (first) link_->WatchPeer(call->position + 1);
  }
  if (network()) expecting_->store(true, std::memory_order_relaxed);
  if (!renew) {
    Flush();
  } else if (const absl::Status s = link_->Renew(log::WriterState::kOpen); !s.ok()) {
    Lose(ErrorInfo::FILE_SYSTEM, s, {});
  }
  return true;
}

void ClientSession::GiveUp(ClientCall* call, os::Nanos now) {
  bool written = false;
  bool observed = false;
  {
    absl::MutexLock lock(&mu_);
    if (call->done.load(std::memory_order_relaxed)) return;
    observed = call->observer != nullptr;
    written = !link_->TakeBack(call->id);
    const bool acknowledged = call->acknowledged.load(std::memory_order_relaxed);
    absl::Status status;
    if (call->context.cancelled()) {
      status =
          rpc::TransportError(absl::StatusCode::kCancelled, ErrorInfo::CANCELLED,
                              "the caller cancelled the call", written, call->method->full_name);
    } else if (now >= call->deadline) {
      status = rpc::TransportError(
          absl::StatusCode::kDeadlineExceeded, ErrorInfo::DEADLINE,
          absl::StrCat("the deadline passed after ",
                       absl::FormatDuration(absl::Nanoseconds(now - call->began)),
                       acknowledged ? "; the server had acknowledged the call"
                                    : "; the server had not acknowledged the call"),
          written, call->method->full_name);
    } else {
      status = rpc::TransportError(
          absl::StatusCode::kUnavailable, ErrorInfo::ACK_TIMEOUT,
          absl::StrCat("the server at ", *peer_, " did not acknowledge the call within ",
                       absl::FormatDuration(absl::Nanoseconds(now - call->began))),
          written, call->method->full_name, link_->write_path());
    }
    Finish(call, std::move(status), /*resend=*/false);
    if (written) link_->SendControl(log::FrameType::kCancel, 0, call->id);
  }
  if (observed) WakeReader();
  // So that no server executes what nobody waits for.
  if (written) link_->Flush().IgnoreError();
}

void ClientSession::Finish(ClientCall* call, absl::Status status, bool resend) {
  calls_.erase(call->id);
  call->status = std::move(status);
  call->resend = resend;
  if (open_.fetch_sub(1, std::memory_order_relaxed) == 1) link_->UnwatchPeer();
  if (call->async && !network()) --async_open_;
  DismissSleepers(call);
  if (call->observer == nullptr) {
    // The last of it: the caller may see this without the lock, and be gone with its call.
    call->done.store(true, std::memory_order_release);
    return;
  }
  const std::shared_ptr<CallObserver> observer = call->observer->shared_from_this();
  call->done.store(true, std::memory_order_release);
  observer->OnEnded();
}

// ---------------------------------------------------------------- the session

int ClientSession::PollOnce(bool force, log::AlignedBuffer* buffer,
                            std::vector<std::shared_ptr<CallbackSource>>* callbacks) {
  CallbackCollector collector;
  const link::PollResult result = link_->Poll(force, buffer, [this](const log::Frame& frame) {
    const wait::Waker::Scope wake_without_lock;
    return OnFrame(frame);
  });
  OnPolled(result);
  if (callbacks != nullptr) {
    *callbacks = collector.Take();
  } else {
    RunCallbacksSoon(collector.Take());
  }
  return usable() ? result.frames : 0;
}

void ClientSession::OnPolled(const link::PollResult& result) {
  if (result.frames > 0) schedule_.OnActivity(env_.clock->Now());
  switch (result.end) {
    case link::PollResult::End::kNone:
      break;
    case link::PollResult::End::kPeerClosed:
      Lose(ErrorInfo::SERVER_LOST, result.status, {std::nullopt, /*read_to_end=*/true});
      break;
    case link::PollResult::End::kLeaseExpired:
      Lose(ErrorInfo::SERVER_LOST, result.status,
           {std::nullopt, /*read_to_end=*/true, link_->watched()});
      break;
    case link::PollResult::End::kCorrupt:
      Lose(ErrorInfo::SESSION_CORRUPT, result.status, {});
      break;
    case link::PollResult::End::kFailed:
      Lose(absl::IsDataLoss(result.status) ? ErrorInfo::SESSION_CORRUPT : ErrorInfo::SERVER_LOST,
           result.status, {});
      break;
  }
}

bool ClientSession::ReadLastWords(log::AlignedBuffer* buffer) {
  link_->SuspendRenewals();
  OnPolled(link_->PollToEnd(buffer, [this](const log::Frame& frame) { return OnFrame(frame); }));
  return usable();
}

void ClientSession::Lose(ErrorInfo::Reason reason, const absl::Status& why,
                         const Knowledge& knowledge) {
  {
    absl::MutexLock lock(&mu_);
    if (closed_.exchange(true, std::memory_order_acq_rel)) return;
    const std::vector<ClientCall*> calls = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      std::vector<ClientCall*> all;
      for (const auto& [id, call] : calls_) all.push_back(call);
      return all;
    }();
    const bool read_to_end = knowledge.read_to_end &&
                             (!knowledge.watch.has_value() || *knowledge.watch == link_->watches());
    for (ClientCall* const call : calls) {
      const bool unwritten = link_->TakeBack(call->id);
      const bool unread =
          knowledge.read_position.has_value() && call->position >= *knowledge.read_position;
      const bool unexecuted = read_to_end && call->method->ack_before_execution &&
                              !call->acknowledged.load(std::memory_order_relaxed);
      if (unwritten || unread || unexecuted) {
        Finish(call, absl::OkStatus(), /*resend=*/true);
        continue;
      }
      const absl::StatusCode code =
          absl::IsDataLoss(why) ? absl::StatusCode::kDataLoss : absl::StatusCode::kUnavailable;
      Finish(call,
             rpc::TransportError(
                 code, reason, absl::StrCat("lost the server ", *peer_, ": ", why.message()),
                 /*may_have_executed=*/true, call->method->full_name, link_->read_path()),
             false);
    }
  }
  own_bell_->Wake();
  wire::Goodbye goodbye;
  goodbye.set_cause(reason == ErrorInfo::SESSION_CORRUPT ? wire::Goodbye::CORRUPT
                                                         : wire::Goodbye::CLOSED);
  goodbye.set_detail(std::string(why.message()).substr(0, 1024));
  goodbye.set_read_position(link_->consumed());
  link_->SendControl(log::FrameType::kGoodbye, 0, 0, goodbye.SerializeAsString());
  // Closed for good: a server that wakes up sees it before it executes anything.
  link_->Renew(log::WriterState::kClosed).IgnoreError();
}

os::Nanos ClientSession::Housekeep(log::AlignedBuffer* buffer) {
  if (!usable()) return os::kNever;
  const os::Nanos now = env_.clock->Now();
  const bool busy = open_.load(std::memory_order_relaxed) > 0;
  const spool::OwnLease lease = link_->own_lease();
  const os::Nanos renew_at = lease.renewed() + (busy ? term_ / 4 : term_ * kIdleTerms);
  if (now >= renew_at) {
    if (absl::Status s = link_->Renew(log::WriterState::kOpen); !s.ok()) {
      Lose(ErrorInfo::FILE_SYSTEM, s, {});
      return os::kNever;
    }
  }
  link_->Housekeep(now);
  if (!network() && link_->TryBeginPoll()) {
    link_->HousekeepReading();
    if (now - link_->last_reading() >= term_ / 4) {
      PollOnce(/*force=*/true, buffer);
      if (!busy) link_->ReadHeadNext();
    }
    link_->EndPoll();
    absl::MutexLock lock(&mu_);
    HandOver();
  }
  return now + term_ / 4;
}

void ClientSession::OnServerDead(log::AlignedBuffer* buffer) {
  server_dead_.store(true, std::memory_order_release);
  if (network()) {
    pollers_->Wake(this);
    return;
  }
  if (!link_->TryBeginPoll()) {
    own_bell_->Wake();  // whoever reads sees to it
    return;
  }
  const bool all = ReadLastWords(buffer);
  link_->EndPoll();
  Lose(ErrorInfo::SERVER_LOST, absl::UnavailableError("the server's process has ended"),
       {std::nullopt, all});
}

os::Nanos ClientSession::Look(log::AlignedBuffer* buffer) {
  if (!usable()) return -1;
  const bool dead = server_dead_.load(std::memory_order_acquire);
  if (!link_->TryBeginPoll()) return env_.clock->Now() + kIdleLook / 1000;
  const bool busy = open_.load(std::memory_order_relaxed) > 0;
  if (!busy) link_->ReadHeadNext();
  if (expecting_->exchange(false, std::memory_order_relaxed)) {
    schedule_.OnActivity(env_.clock->Now());
  }
  if (dead) {
    const bool all = ReadLastWords(buffer);
    Lose(ErrorInfo::SERVER_LOST, absl::UnavailableError("the server's process has ended"),
         {std::nullopt, all});
  } else {
    PollOnce(/*force=*/true, buffer);
  }
  link_->EndPoll();
  if (const absl::Status s = link_->status(); !s.ok()) Lose(ErrorInfo::FILE_SYSTEM, s, {});
  if (!usable()) return -1;
  // Whoever begins a call wakes this.
  if (open_.load(std::memory_order_relaxed) == 0) return env_.clock->Now() + kIdleLook;
  return std::min(schedule_.Next(link_->last_look()), link_->next_head_reading());
}

void ClientSession::Close() {
  if (!closed_.exchange(true, std::memory_order_acq_rel)) {
    wire::Goodbye goodbye;
    goodbye.set_cause(wire::Goodbye::CLOSED);
    goodbye.set_read_position(link_->consumed());
    link_->SendControl(log::FrameType::kGoodbye, 0, 0, goodbye.SerializeAsString());
    link_->RenewAndWait(log::WriterState::kClosed, kCloseTimeout).IgnoreError();
  }
}

}  // namespace spoolrpc::client
