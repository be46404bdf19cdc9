#include "spoolrpc/client/client_session.h"

#include <string.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/client/retry_policy.h"
#include "spoolrpc/compress/message_codec.h"
#include "spoolrpc/exec/reaper.h"
#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/rpc/status_codec.h"

namespace spoolrpc::client {
namespace {

constexpr size_t kBufferSize = 2 * 65536;
// How often a session without calls is looked at on a network file system, for a goodbye.
constexpr os::Nanos kIdleLook = os::Nanos{1000000000};
constexpr int kPausesPerClock = 32;
// An idle client renews its lease every so many terms.
constexpr int kIdleTerms = 6;
constexpr absl::Duration kCloseTimeout = absl::Seconds(2);

// How long callbacks run elsewhere after one that took long.
constexpr os::Nanos kSlowFor = 1000000000;

thread_local bool in_callback = false;

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

bool ClientSession::InCallback() { return in_callback; }

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
  if (auto bulk = link_->PrepareBulk(bytes)) {
    link_->SendBulk(log::FrameType::kMessage, flags, call.id, nullptr, std::move(bulk));
    return;
  }
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
    if (link::kHeaderSizeField + header.ByteSizeLong() + 16 > link_->max_single()) {
      call->status = rpc::TransportError(
          absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
          absl::StrCat("metadata and method name take ", header.ByteSizeLong(),
                       " bytes, more than the ", link_->max_single(),
                       " of the request log's frames; raise ChannelOptions.log_capacity"),
          false, call->method->full_name);
      call->done.store(true, std::memory_order_release);
      return false;
    }
    // (A reference takes its place in the same frame.)
    if (bulk != nullptr && link::kHeaderSizeField + header.ByteSizeLong() +
                                   link::kBulkReferenceSize >
                               link_->max_single()) {
      bulk = nullptr;
    }
    call->id = next_call_++;
    if (bulk == nullptr &&
        link::kHeaderSizeField + header.ByteSizeLong() + 16 + size > link_->max_single()) {
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
        bulk != nullptr ? link_->SendBulk(log::FrameType::kCall, flags, call->id, &header,
                                          std::move(bulk))
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

void ClientSession::Wait(ClientCall* call, uint32_t seen) {
  link::FlushScope::FlushAll();
  while (!call->done.load(std::memory_order_acquire) &&
         call->version.load(std::memory_order_acquire) == seen) {
    const os::Nanos now = env_.clock->Now();
    const os::Nanos until = call->acknowledged.load(std::memory_order_acquire)
                                ? call->deadline
                                : std::min(call->deadline, call->ack_deadline);
    if (now >= until || call->context.cancelled()) {
      GiveUp(call, now);
      break;
    }
    if (!network() && link_->TryBeginPoll()) {
      Lead(call, seen);
      link_->EndPoll();
      absl::MutexLock lock(&mu_);
      HandOver();
      continue;
    }
    LetCancelWake(call);
    absl::MutexLock lock(&mu_);
    if (call->done.load(std::memory_order_relaxed) || call->context.cancelled() ||
        call->version.load(std::memory_order_relaxed) != seen) {
      continue;
    }
    const auto place = sleeping_.insert(sleeping_.end(), {call, seen});
    // Bounded, in case that whoever reads leaves between the look above and here.
    const os::Nanos most = network() ? until - now : std::min(until - now, kIdleLook / 100);
    call->ended.WaitWithTimeout(&mu_, absl::Nanoseconds(most));
    sleeping_.erase(place);
  }
  if (call->observer == nullptr && call->cancel_wakes) call->context.SetCancelHook(nullptr);
}

void ClientSession::LetCancelWake(ClientCall* call) {
  // A call with an observer is cancelled at once: it wakes whoever waits as it ends.
  if (call->observer != nullptr || call->cancel_wakes) return;
  call->cancel_wakes = true;
  call->context.SetCancelHook([this, call] {
    absl::MutexLock lock(&mu_);
    call->ended.SignalAll();
    own_bell_->Wake();
  });
}

void ClientSession::HandOver() {
  for (const auto& [call, seen] : sleeping_) {
    // Awake already, and on its way out.
    if (call->done.load(std::memory_order_relaxed)) continue;
    if (call->version.load(std::memory_order_relaxed) != seen) continue;
    call->ended.SignalAll();
    return;
  }
  if (async_open_ > 0) async_changed_.SignalAll();
}

void ClientSession::Lead(ClientCall* call, uint32_t version) {
  bool force = false;
  for (;;) {
    const uint32_t seen = own_bell_->counter();
    if (server_dead_.load(std::memory_order_acquire)) {
      const bool all = ReadLastWords(buffer_.get());
      Lose(ErrorInfo::SERVER_LOST, absl::UnavailableError("the server's process has ended"),
           {std::nullopt, all});
      return;
    }
    const int frames = PollOnce(force, buffer_.get());
    force = false;
    if (call->done.load(std::memory_order_acquire) || call->context.cancelled() ||
        call->version.load(std::memory_order_acquire) != version) {
      return;
    }
    if (frames > 0) continue;
    const os::Nanos now = env_.clock->Now();
    const os::Nanos until = call->acknowledged.load(std::memory_order_acquire)
                                ? call->deadline
                                : std::min(call->deadline, call->ack_deadline);
    if (now >= until) return;
    Doze(call, seen, until);
    // What nobody rang for is found all the same, a little later.
    force = own_bell_->counter() == seen;
  }
}

void ClientSession::StartReader() {
  Reader* const reader = &readers_.emplace_back();
  reader->thread = std::thread([this, reader] { Read(reader); });
}

void ClientSession::JoinFormerReaders() {
  std::list<Reader> done;
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return;
    for (auto it = readers_.begin(); it != readers_.end();) {
      const auto next = std::next(it);
      if (it->done) done.splice(done.end(), readers_, it);
      it = next;
    }
  }
  for (Reader& reader : done) reader.thread.join();
}

bool ClientSession::AwaitAsyncCalls() {
  absl::MutexLock lock(&mu_);
  while (!stopping_ && (async_open_ == 0 || !usable())) async_changed_.Wait(&mu_);
  return !stopping_;
}

void ClientSession::Read(Reader* reader) {
  JoinFormerReaders();
  exec::OverdueWatch::Work work(exec::OverdueWatch::Shared(), [this, reader] { OnStuck(reader); });
  bool force = false;
  std::vector<std::shared_ptr<CallbackSource>> callbacks;
  for (;;) {
    // Before the look at stopping_, whose setter wakes the bell afterwards.
    const uint32_t seen = own_bell_->counter();
    if (!AwaitAsyncCalls()) return;
    if (!link_->TryBeginPoll()) {
      // A caller reads, and for these calls too. Bounded, in case that he leaves just now.
      absl::MutexLock lock(&mu_);
      if (!stopping_) async_changed_.WaitWithTimeout(&mu_, absl::Nanoseconds(kIdleLook / 100));
      continue;
    }
    int frames = 0;
    const bool dead = server_dead_.load(std::memory_order_acquire);
    if (dead) {
      const bool all = ReadLastWords(buffer_.get());
      Lose(ErrorInfo::SERVER_LOST, absl::UnavailableError("the server's process has ended"),
           {std::nullopt, all});
    } else {
      frames = PollOnce(force, buffer_.get(), &callbacks);
      force = false;
    }
    if (frames == 0 && callbacks.empty() && !dead && usable()) {
      Doze(nullptr, seen, os::kNever);
      force = own_bell_->counter() == seen;
    }
    link_->EndPoll();
    {
      absl::MutexLock lock(&mu_);
      if (async_open_ == 0 || (!callbacks.empty() && !sleeping_.empty())) HandOver();
    }
    if (!callbacks.empty() && !RunHere(reader, &work, std::move(callbacks))) return;
    callbacks.clear();
  }
}

bool ClientSession::RunHere(Reader* reader, exec::OverdueWatch::Work* work,
                            std::vector<std::shared_ptr<CallbackSource>> sources) {
  std::shared_ptr<CallbackBatch> batch;
  {
    absl::ReleasableMutexLock lock(&mu_);
    if (slow_until_ != 0 && env_.clock->Now() < slow_until_) {
      lock.Release();
      RunCallbacksSoon(std::move(sources));
      return true;
    }
    batch = std::make_shared<CallbackBatch>(std::move(sources));
    reader->batch = batch;
  }
  in_callbacks_.fetch_add(1, std::memory_order_acq_rel);
  in_callback = true;
  batch->Run(work);
  in_callback = false;
  in_callbacks_.fetch_sub(1, std::memory_order_acq_rel);
  absl::MutexLock lock(&mu_);
  reader->batch.reset();
  reader->done = reader->stuck;
  return !reader->stuck;
}

void ClientSession::OnStuck(Reader* reader) {
  absl::MutexLock lock(&mu_);
  if (reader->batch == nullptr || reader->stuck || stopping_) return;
  reader->stuck = true;
  slow_until_ = env_.clock->Now() + kSlowFor;
  exec::ThreadPool::Shared()->Run([batch = reader->batch] { batch->Run(nullptr); });
  StartReader();
}

void ClientSession::Doze(ClientCall* call, uint32_t seen, os::Nanos until) {
  const auto cancelled = [&] {
    if (call == nullptr) return false;
    LetCancelWake(call);
    return call->context.cancelled();
  };
  os::Nanos now = env_.clock->Now();
  if (!link_->bells_trusted()) {
    if (cancelled()) return;
    const os::Nanos next =
        std::min({until, schedule_.Next(link_->last_look()), link_->next_head_reading()});
    own_bell_->Sleep(seen, next - now);
    return;
  }
  const os::Nanos budget = spin_.Budget();
  if (budget > 0) {
    const os::Nanos end = std::min(now + budget, until);
    do {
      for (int i = 0; i < kPausesPerClock; ++i) {
        if (own_bell_->counter() != seen) {
          spin_.OnSpin(true);
          return;
        }
        wait::Pause();
      }
      now = env_.clock->Now();
    } while (now < end);
    spin_.OnSpin(false);
  }
  if (cancelled()) return;
  const os::Nanos next = std::min({until, now + term_ / 4, link_->next_head_reading()});
  own_bell_->Sleep(seen, next - now);
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

void ClientSession::WakeReader() {
  if (!network()) own_bell_->Wake();
}

void ClientSession::Finish(ClientCall* call, absl::Status status, bool resend) {
  calls_.erase(call->id);
  call->status = std::move(status);
  call->resend = resend;
  if (open_.fetch_sub(1, std::memory_order_relaxed) == 1) link_->UnwatchPeer();
  if (call->async && !network()) --async_open_;
  call->ended.SignalAll();
  if (call->observer == nullptr) {
    // The last of it: the caller may see this without the lock, and be gone with its call.
    call->done.store(true, std::memory_order_release);
    return;
  }
  const std::shared_ptr<CallObserver> observer = call->observer->shared_from_this();
  call->done.store(true, std::memory_order_release);
  observer->OnEnded();
}

// ---------------------------------------------------------------- frames

absl::Status ClientSession::OnFrame(const log::Frame& frame) {
  if (frame.type == log::FrameType::kGoodbye) return OnGoodbye(frame);
  absl::MutexLock lock(&mu_);
  const auto it = calls_.find(frame.call);
  ClientCall* const call = it == calls_.end() ? nullptr : it->second;
  switch (frame.type) {
    case log::FrameType::kAck:
      if (call != nullptr) SetAcknowledged(call);
      return absl::OkStatus();
    case log::FrameType::kData:
      if (call == nullptr) return absl::OkStatus();
      if (call->partial != nullptr) {
        OnPart(call, frame);
        return absl::OkStatus();
      }
      if (call->reply_bytes == nullptr) {
        // Some room for the header beside the message.
        call->reply_bytes = std::make_unique<rpc::Reassembly>(call->max_reply_size + 65536);
      }
      call->reply_bytes->Add(frame.payload);
      SetAcknowledged(call);
      return absl::OkStatus();
    case log::FrameType::kMessage:
      if ((frame.flags & log::kBulk) != 0) return OnBulkMessage(call, frame);
      [[fallthrough]];
    case log::FrameType::kInitial:
      if (call != nullptr) OnPart(call, frame);
      return absl::OkStatus();
    case log::FrameType::kCredit:
      if (call != nullptr) OnCredit(call, frame);
      return absl::OkStatus();
    case log::FrameType::kReply:
      if ((frame.flags & log::kBulk) != 0) return OnBulkReply(call, frame);
      if (call != nullptr) OnReply(call, frame);
      return absl::OkStatus();
    default:
      if ((frame.flags & log::kSkippable) != 0) return absl::OkStatus();
      return absl::DataLossError(
          absl::StrCat("read ", link_->read_path(), ": a frame of unknown type ",
                       static_cast<int>(frame.type), " at position ", frame.position));
  }
}

void ClientSession::SetAcknowledged(ClientCall* call) {
  if (call->acknowledged.load(std::memory_order_relaxed)) return;
  call->acknowledged.store(true, std::memory_order_release);
  call->context.SetAcknowledged();
}

void ClientSession::OnPart(ClientCall* call, const log::Frame& frame) {
  SetAcknowledged(call);
  if (call->observer == nullptr ||
      (frame.type != log::FrameType::kData && call->partial != nullptr)) {
    Break(call, rpc::TransportError(absl::StatusCode::kInternal, ErrorInfo::BAD_MESSAGE,
                                    absl::StrCat("the server's log has a frame of type ",
                                                 static_cast<int>(frame.type),
                                                 " where the call has no place for it"),
                                    true, call->method->full_name, link_->read_path()));
    return;
  }
  const bool more = (frame.flags & log::kMore) != 0;
  const bool begins = frame.type != log::FrameType::kData;
  const bool compressed = (frame.flags & log::kCompressed) != 0;
  if (begins && !more && frame.payload.size() <= call->max_reply_size) {
    OnWhole(call, frame.type, {std::string(frame.payload), nullptr, compressed});
    return;
  }
  if (begins) {
    call->partial = std::make_unique<rpc::Reassembly>(call->max_reply_size);
    call->partial_type = frame.type;
    call->partial_compressed = compressed;
  }
  if (!call->partial->Add(frame.payload)) {
    Break(call,
          rpc::TransportError(absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
                              absl::StrCat("a message has more than the ", call->max_reply_size,
                                           " bytes that this channel accepts"),
                              true, call->method->full_name));
    return;
  }
  if (more) return;
  const std::unique_ptr<rpc::Reassembly> whole = std::move(call->partial);
  OnWhole(call, call->partial_type,
          {std::move(whole->bytes()), nullptr, call->partial_compressed});
}

void ClientSession::OnWhole(ClientCall* call, log::FrameType type, rpc::ArrivedMessage message) {
  if (type == log::FrameType::kMessage) {
    if (!call->observer->OnMessage(std::move(message))) {
      Break(call, rpc::TransportError(absl::StatusCode::kInternal, ErrorInfo::BAD_MESSAGE,
                                      "the server sends more than it was given credit for", true,
                                      call->method->full_name, link_->read_path()));
      return;
    }
  } else {
    wire::InitialMetadata initial;
    if (!initial.ParseFromString(message.bytes)) {
      Break(call, rpc::TransportError(absl::StatusCode::kInternal, ErrorInfo::BAD_MESSAGE,
                                      "the server's initial metadata does not parse", true,
                                      call->method->full_name, link_->read_path()));
      return;
    }
    call->observer->OnInitialMetadata(rpc::DecodeMetadata(initial.metadata()));
  }
  call->version.fetch_add(1, std::memory_order_acq_rel);
  call->ended.SignalAll();
}

void ClientSession::OnCredit(ClientCall* call, const log::Frame& frame) {
  uint64_t total = 0;
  if (call->observer == nullptr || frame.payload.size() != sizeof(total)) return;
  memcpy(&total, frame.payload.data(), sizeof(total));
  call->observer->OnCredit(total);
  call->version.fetch_add(1, std::memory_order_acq_rel);
  call->ended.SignalAll();
}

void ClientSession::OnReply(ClientCall* call, const log::Frame& frame) {
  if ((frame.flags & log::kAcked) != 0) SetAcknowledged(call);
  call->reply_compressed = (frame.flags & log::kCompressed) != 0;
  if (call->reply_bytes == nullptr) {
    TakeReply(call, frame.payload);
    Finish(call, std::move(call->status), call->resend);
    return;
  }
  call->reply_bytes->Add(frame.payload);
  if (call->reply_bytes->overflowed()) {
    Finish(call,
           rpc::TransportError(absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
                               absl::StrCat("the reply has ", call->reply_bytes->seen(),
                                            " bytes, this channel accepts ", call->max_reply_size),
                               true, call->method->full_name),
           false);
    return;
  }
  call->parse_reply_bytes = true;
  Finish(call, absl::OkStatus(), false);
}

void ClientSession::TakeReply(ClientCall* call, absl::string_view payload) {
  const char* const method = call->method->full_name;
  wire::ReplyHeader header;
  if (absl::Status s = rpc::SplitPayload(&payload, &header); !s.ok()) {
    call->status =
        rpc::TransportErrorFrom(s, ErrorInfo::BAD_MESSAGE, true, method, link_->read_path());
    return;
  }
  if (header.initial_metadata_size() > 0) {
    call->context.SetInitialMetadata(rpc::DecodeMetadata(header.initial_metadata()));
  }
  if (header.trailing_metadata_size() > 0) {
    call->context.SetTrailingMetadata(rpc::DecodeMetadata(header.trailing_metadata()));
  }
  if (header.not_started() == wire::NOT_STARTED_DRAINING) {
    draining_.store(true, std::memory_order_release);
    call->resend = true;
    return;
  }
  absl::Status status = rpc::DecodeStatus(header);
  if (!status.ok()) {
    if (header.not_started() == wire::NOT_STARTED_QUEUE_FULL) {
      status = rpc::TransportErrorFrom(status, ErrorInfo::NOT_STARTED, false, method);
    } else if (header.not_started() == wire::NOT_STARTED_DISCARDED) {
      status = rpc::TransportErrorFrom(status, ErrorInfo::DISCARDED, false, method);
    } else if (header.reason() == ErrorInfo::MESSAGE_TOO_LARGE ||
               header.reason() == ErrorInfo::BAD_MESSAGE) {
      status =
          rpc::TransportErrorFrom(status, static_cast<ErrorInfo::Reason>(header.reason()), true);
    }
    call->status = std::move(status);
    return;
  }
  const uint64_t size = call->reply_bulk == nullptr ? payload.size() : call->reply_bulk->size();
  if (size > call->max_reply_size) {
    call->status =
        rpc::TransportError(absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
                            absl::StrCat("the reply has ", size,
                                         " bytes, this channel accepts ", call->max_reply_size),
                            true, method);
    return;
  }
  if (call->reply == nullptr) {  // the replies were a stream
    call->status = absl::OkStatus();
    return;
  }
  call->context.SetReplyCompressed(call->reply_compressed);
  if (call->reply_bulk != nullptr) {
    call->status = ParseBulkReply(call);
    return;
  }
  const absl::Status parsed = ParseReplyMessage(call, payload);
  if (!parsed.ok()) {
    call->status = rpc::TransportErrorFrom(parsed, ErrorInfo::BAD_MESSAGE, true);
  } else {
    call->status = absl::OkStatus();
  }
}

absl::Status ClientSession::ParseReplyMessage(ClientCall* call, absl::string_view bytes) {
  const char* const method = call->method->full_name;
  if (!call->reply_compressed) return rpc::ParseMessage(bytes, method, call->reply);
  const auto whole = compress::Decompress(bytes, call->max_reply_size);
  if (!whole.ok()) {
    return absl::Status(whole.status().code(),
                        absl::StrCat(method, ": the reply: ", whole.status().message()));
  }
  return rpc::ParseMessage(*whole, method, call->reply);
}

absl::Status ClientSession::OnGoodbye(const log::Frame& frame) {
  wire::Goodbye goodbye;
  if (!goodbye.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()))) {
    return absl::DataLossError(
        absl::StrCat("read ", link_->read_path(), ": a GOODBYE that does not parse"));
  }
  const bool corrupt =
      goodbye.cause() == wire::Goodbye::CORRUPT || goodbye.cause() == wire::Goodbye::PROTOCOL_ERROR;
  absl::Status why =
      corrupt
          ? absl::DataLossError(absl::StrCat("the server ended the session: ", goodbye.detail()))
          : absl::UnavailableError(absl::StrCat(
                "the server ended the session (", wire::Goodbye::Cause_Name(goodbye.cause()),
                goodbye.detail().empty() ? ")" : absl::StrCat("): ", goodbye.detail())));
  Knowledge knowledge;
  if (goodbye.has_read_position()) knowledge.read_position = goodbye.read_position();
  Lose(corrupt ? ErrorInfo::SESSION_CORRUPT : ErrorInfo::SERVER_LOST, why, knowledge);
  return absl::OkStatus();
}

// ---------------------------------------------------------------- the session

int ClientSession::PollOnce(bool force, log::AlignedBuffer* buffer,
                            std::vector<std::shared_ptr<CallbackSource>>* callbacks) {
  CallbackCollector collector;
  const link::PollResult result =
      link_->Poll(force, buffer, [this](const log::Frame& frame) { return OnFrame(frame); });
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
  if (!network() && link_->TryBeginPoll()) {
    link_->Housekeep(now);
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
