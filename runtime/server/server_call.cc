#include "spoolrpc/server/server_call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/compress/message_codec.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/rpc/stream_window.h"
#include "spoolrpc/server/handler_guard.h"
#include "spoolrpc/server/server_session.h"

namespace spoolrpc::server {
ServerCall::ServerCall(std::shared_ptr<CallSession> session, uint64_t id, MethodEntry* method,
                       const wire::CallHeader& header, const Peer& peer, os::Nanos arrived)
    : session_(std::move(session)),
      id_(id),
      method_(method),
      counter_(method->metrics(), session_->clock(), arrived),
      granted_(rpc::kStreamWindow),
      credit_(rpc::kStreamWindow) {
  if (header.has_timeout_ns()) {
    const uint64_t timeout = std::min<uint64_t>(header.timeout_ns(), os::kNever / 2);
    deadline_ = os::After(arrived, absl::Nanoseconds(timeout));
    context_.SetDeadline(absl::Now() + absl::Nanoseconds(timeout), [this] { WatchDeadline(); });
  }
  context_.cancel_ = [this] { Cancel(); };
  context_.allocate_ = [this](size_t size) { return session_->AllocateReply(size); };
  context_.method_ = method->name();
  context_.peer_ = peer.name;
  context_.peer_identity_ = peer.identity;
  if (header.metadata_size() > 0)
    context_.client_metadata_ = rpc::DecodeMetadata(header.metadata());
}

// (Nobody else has it any more.)
ServerCall::~ServerCall() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (large_) method_->replies()->Keep(std::move(reply_), session_->clock()->Now());
  if (timer_ != 0) session_->host()->timers()->Cancel(timer_);
}

bool ServerCall::client_streams() const {
  const MethodKind kind = method_->info().kind;
  return kind == MethodKind::kClientStreaming || kind == MethodKind::kBidiStreaming;
}

bool ServerCall::server_streams() const {
  const MethodKind kind = method_->info().kind;
  return kind == MethodKind::kServerStreaming || kind == MethodKind::kBidiStreaming;
}

absl::Status ServerCall::ParseRequest(absl::string_view bytes, bool compressed) {
  request_ = method_->handler().NewRequest();
  if (compressed) {
    context_.request_compressed_.store(true, std::memory_order_relaxed);
    const auto whole = compress::Decompress(bytes, session_->max_request_size());
    if (!whole.ok()) {
      return absl::Status(
          whole.status().code(),
          absl::StrCat(*context_.method_, ": the request: ", whole.status().message()));
    }
    counter_.OnReceive(whole->size());
    return rpc::ParseMessage(*whole, method_->info().full_name, request_.get());
  }
  counter_.OnReceive(bytes.size());
  return rpc::ParseMessage(bytes, method_->info().full_name, request_.get());
}

absl::Status ServerCall::ParseBulkRequest(const rpc::ArrivedMessage& request,
                                          absl::Status* damage) {
  large_ = true;
  request_ = method_->requests()->Take();
  if (request_ == nullptr) request_ = method_->handler().NewRequest();
  if (request.compressed) context_.request_compressed_.store(true, std::memory_order_relaxed);
  uint64_t size = 0;
  absl::Status parsed = rpc::ParseArrived(request, session_->max_request_size(),
                                          method_->info().full_name, request_.get(), &size, damage);
  if (parsed.ok()) counter_.OnReceive(size);
  return parsed;
}

void ServerCall::WatchDeadline() {
  if (deadline_ == os::kNever) return;
  const std::weak_ptr<ServerCall> weak = weak_from_this();
  absl::MutexLock lock(&mu_);
  if (timer_ != 0) return;
  timer_ = session_->host()->timers()->At(deadline_, [weak] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->deadline_passed_.store(true, std::memory_order_release);
    self->Cancel();
  });
}

void ServerCall::RunHandler() {
  if (!server_streams()) NewReply();
  if (client_streams() || server_streams()) WatchDeadline();
  bool threw = false;
  absl::Status status = RunGuarded(
      *context_.method_,
      [this] { return method_->handler().Run(&context_, request_.get(), reply_.get(), this); },
      &threw);
  if (threw) session_->host()->OnHandlerFailed(status);
  EndHandler(std::move(status));
}

google::protobuf::MessageLite* ServerCall::NewReply() {
  if (large_) reply_ = method_->replies()->Take();
  if (reply_ == nullptr) reply_ = method_->handler().NewReply();
  return reply_.get();
}

void ServerCall::EndHandler(absl::Status status) {
  status_ = std::move(status);
  context_.StopTelling();
  CheckResult();
}

void ServerCall::TakePlaceAfterReply() {
  if (context_.after_reply_.empty()) return;
  after_reply_ = session_->host()->after_reply()->Take(std::move(context_.after_reply_));
}

void ServerCall::OnReplySent() {
  if (after_reply_ != nullptr) session_->host()->after_reply()->SetReady(after_reply_);
}

void ServerCall::CheckResult() {
  // (Of a reactor it is gone for good: nobody else may have what it still points to.)
  if (large_ && !uses_reactor()) {
    method_->requests()->Keep(std::move(request_), session_->clock()->Now());
  }
  request_.reset();
  {
    absl::MutexLock lock(&mu_);
    inbound_.clear();
    if (overridden_) {
      FailReply(override_, override_reason_);
    } else if (context_.try_cancel_.load(std::memory_order_acquire)) {
      status_ = absl::CancelledError(absl::StrCat(*context_.method_, ": cancelled by the server"));
    } else if (deadline_passed_.load(std::memory_order_acquire)) {
      // Whatever the handler makes of being cancelled: the client may learn of this first.
      status_ =
          absl::DeadlineExceededError(absl::StrCat(*context_.method_, ": the deadline passed"));
    } else if (status_.ok() && cancelled() && (client_streams() || server_streams())) {
      // Where the stream was broken off it looked to the handler as if it had ended: its OK is
      // about less than the client has sent, or wants.
      status_ = absl::CancelledError(absl::StrCat(*context_.method_, ": cancelled"));
    }
  }
  if (!context_.initial_metadata_.empty() || !context_.trailing_metadata_.empty()) {
    absl::Status checked = rpc::CheckMetadata(context_.initial_metadata_);
    checked.Update(rpc::CheckMetadata(context_.trailing_metadata_));
    if (!checked.ok()) {
      context_.initial_metadata_.clear();
      context_.trailing_metadata_.clear();
      status_ = absl::InternalError(
          absl::StrCat(*context_.method_, ": the handler set bad metadata: ", checked.message()));
    }
  }
  if (!status_.ok() || reply_ == nullptr) return;
  if (absl::Status s = rpc::CheckSerializable(*reply_, *context_.method_, &reply_size_, ": reply");
      !s.ok()) {
    FailReply(std::move(s), ErrorInfo::BAD_MESSAGE);
  }
}

void ServerCall::EncodeMetadata(wire::ReplyHeader* header) const {
  if (!context_.initial_metadata_.empty() && !initial_sent_.load(std::memory_order_acquire)) {
    rpc::EncodeMetadata(context_.initial_metadata_, header->mutable_initial_metadata());
  }
  if (!context_.trailing_metadata_.empty()) {
    rpc::EncodeMetadata(context_.trailing_metadata_, header->mutable_trailing_metadata());
  }
}

void ServerCall::Override(absl::Status status, int32_t reason) {
  absl::MutexLock lock(&mu_);
  if (overridden_) return;
  overridden_ = true;
  override_ = std::move(status);
  override_reason_ = reason;
}

void ServerCall::Cancel() {
  if (context_.cancelled_.exchange(true, std::memory_order_acq_rel)) return;
  std::vector<std::function<void()>> callbacks;
  {
    absl::MutexLock lock(&context_.mu_);
    callbacks.swap(context_.on_cancel_);
  }
  // Not here: whoever cancels may hold locks.
  for (auto& callback : callbacks) {
    session_->host()->RunReaction([self = shared_from_this(), callback = std::move(callback)] {
      if (!self->context_.BeginTelling()) return;
      callback();
      self->context_.EndTelling();
    });
  }
  absl::MutexLock lock(&mu_);
  changed_.SignalAll();
  Schedule();
}

// ---------------------------------------------------------------- what comes

bool ServerCall::OnMessage(std::string bytes, bool compressed) {
  absl::MutexLock lock(&mu_);
  if (received_ >= granted_ || half_closed_) return false;
  received_ += rpc::StreamCost(bytes.size());
  inbound_.push_back({std::move(bytes), compressed});
  changed_.SignalAll();
  Schedule();
  return true;
}

void ServerCall::OnHalfClose() {
  absl::MutexLock lock(&mu_);
  half_closed_ = true;
  changed_.SignalAll();
  Schedule();
}

void ServerCall::OnCredit(uint64_t total) {
  absl::MutexLock lock(&mu_);
  credit_ = std::max(credit_, total);
  changed_.SignalAll();
  Schedule();
}

ServerCall::Inbound ServerCall::TakeInbound(uint64_t* credit) {
  Inbound inbound = std::move(inbound_.front());
  inbound_.pop_front();
  taken_ += rpc::StreamCost(inbound.bytes.size());
  *credit = 0;
  if (taken_ + rpc::kStreamWindow >= granted_ + rpc::kStreamWindow / 2) {
    *credit = granted_ = taken_ + rpc::kStreamWindow;
  }
  return inbound;
}

bool ServerCall::Parse(Inbound inbound, google::protobuf::MessageLite* message) {
  absl::Status parsed;
  context_.request_compressed_.store(inbound.compressed, std::memory_order_relaxed);
  if (inbound.compressed) {
    auto whole = compress::Decompress(inbound.bytes, session_->max_request_size());
    parsed = whole.status();
    if (whole.ok()) inbound.bytes = *std::move(whole);
  }
  if (parsed.ok()) {
    counter_.OnReceive(inbound.bytes.size());
    parsed = rpc::ParseMessage(inbound.bytes, method_->info().full_name, message);
  }
  if (parsed.ok()) return true;
  Override(std::move(parsed), ErrorInfo::BAD_MESSAGE);
  return false;
}

bool ServerCall::Read(google::protobuf::MessageLite* message) {
  Inbound inbound;
  uint64_t credit = 0;
  {
    absl::MutexLock lock(&mu_);
    while (inbound_.empty() && !half_closed_ && !cancelled() && !reading_stopped_) {
      changed_.Wait(&mu_);
    }
    if (inbound_.empty() || cancelled() || reading_stopped_) return false;
    inbound = TakeInbound(&credit);
  }
  if (credit != 0) session_->SendCredit(id_, credit);
  return Parse(std::move(inbound), message);
}

void ServerCall::StopReading() {
  absl::MutexLock lock(&mu_);
  reading_stopped_ = true;
  changed_.SignalAll();
}

// ---------------------------------------------------------------- what goes

bool ServerCall::Serialize(const google::protobuf::MessageLite& message, std::string* bytes) {
  size_t size = 0;
  if (absl::Status s = rpc::CheckSerializable(message, *context_.method_, &size, ": message");
      !s.ok()) {
    Override(std::move(s), ErrorInfo::BAD_MESSAGE);
    return false;
  }
  if (size > session_->max_reply_size()) {
    Override(absl::ResourceExhaustedError(absl::StrCat(*context_.method_, ": the message has ",
                                                       size, " bytes, this server sends at most ",
                                                       session_->max_reply_size())),
             ErrorInfo::MESSAGE_TOO_LARGE);
    return false;
  }
  message.SerializePartialToString(bytes);
  counter_.OnSend(size);
  return true;
}

void ServerCall::SendInitial(bool asked) {
  if (!asked && context_.initial_metadata_.empty()) return;
  if (initial_sent_.exchange(true, std::memory_order_acq_rel)) return;
  wire::InitialMetadata initial;
  if (absl::Status s = rpc::CheckMetadata(context_.initial_metadata_); !s.ok()) {
    Override(absl::InternalError(
                 absl::StrCat(*context_.method_, ": the handler set bad metadata: ", s.message())),
             0);
  } else {
    rpc::EncodeMetadata(context_.initial_metadata_, initial.mutable_metadata());
  }
  session_->SendPart(this, log::FrameType::kInitial, 0, initial.SerializeAsString());
}

void ServerCall::SendInitialMetadata() {
  SendInitial(/*asked=*/true);
  session_->Flush();
}

bool ServerCall::compresses() const {
  Compression compression = context_.compression_;
  if (compression == Compression::kDefault) compression = session_->host()->compression();
  if (compression == Compression::kDefault) compression = method_->info().compression;
  return session_->Takes(compression);
}

bool ServerCall::Compress(std::string* bytes) const {
  std::string compressed;
  if (!compresses() || !compress::Compress(*bytes, &compressed).ok() ||
      compressed.size() >= bytes->size()) {
    return false;
  }
  bytes->swap(compressed);
  return true;
}

void ServerCall::SendMessage(const std::string& bytes, bool compressed, bool flush) {
  SendInitial(/*asked=*/false);
  session_->SendPart(this, log::FrameType::kMessage, compressed ? log::kCompressed : 0, bytes);
  if (flush) session_->Flush();
}

bool ServerCall::Write(const google::protobuf::MessageLite& message, WriteOptions options) {
  std::string bytes;
  if (!Serialize(message, &bytes)) return false;
  const bool compressed = !options.get_no_compression() && Compress(&bytes);
  {
    absl::MutexLock lock(&mu_);
    if (!HasCredit()) {
      // The client makes room for what it reads: what was kept back goes out now.
      mu_.Unlock();
      session_->Flush();
      mu_.Lock();
    }
    while (!HasCredit() && !cancelled()) changed_.Wait(&mu_);
    if (cancelled() || overridden_) return false;
    sent_ += rpc::StreamCost(bytes.size());
  }
  SendMessage(bytes, compressed, !options.get_buffer_hint() && !options.is_last_message());
  return true;
}

// ---------------------------------------------------------------- reactors

bool ServerCall::StartReactor() {
  if (!server_streams()) reply_ = method_->handler().NewReply();
  if (request_ == nullptr) request_ = method_->handler().NewRequest();
  WatchDeadline();
  ServerReactor* reactor = nullptr;
  bool threw = false;
  absl::Status failure = RunGuarded(
      *context_.method_,
      [&] {
        reactor = method_->handler().Start(&context_, request_.get(), reply_.get());
        return absl::UnimplementedError(
            absl::StrCat(*context_.method_, " is not implemented by this server"));
      },
      &threw);
  if (threw) session_->host()->OnHandlerFailed(failure);
  const bool failed = reactor == nullptr;
  if (failed) reactor = context_.DefaultReactor();
  {
    absl::MutexLock lock(&mu_);
    reactor_ = reactor;
    scheduled_ = true;  // not before the binding is complete
  }
  reactor->BindCall(shared_from_this());
  if (failed) Finish(std::move(failure));
  Pump();
  absl::MutexLock lock(&mu_);
  return done_;
}

bool ServerCall::WhenDone(std::function<void()> fn) {
  absl::MutexLock lock(&mu_);
  if (done_) return false;
  when_done_ = std::move(fn);
  return true;
}

void ServerCall::StartSendInitialMetadata() {
  absl::MutexLock lock(&mu_);
  sending_initial_ = true;
  Schedule();
}

void ServerCall::StartRead(google::protobuf::MessageLite* message) {
  absl::MutexLock lock(&mu_);
  reading_ = message;
  Schedule();
}

void ServerCall::StartWrite(const google::protobuf::MessageLite* message, WriteOptions options) {
  std::string bytes;
  const bool serialized = Serialize(*message, &bytes);
  const bool compressed = serialized && !options.get_no_compression() && Compress(&bytes);
  bool waits = false;
  {
    absl::MutexLock lock(&mu_);
    writing_ = true;
    write_silent_ = false;
    write_failed_ = !serialized;
    write_flush_ = !options.get_buffer_hint() && !options.is_last_message();
    write_compressed_ = compressed;
    write_ = std::move(bytes);
    waits = !HasCredit();
    Schedule();
  }
  // The client makes room for what it reads: what was kept back goes out now.
  if (waits) session_->Flush();
}

void ServerCall::WriteAndFinish(const google::protobuf::MessageLite* message, WriteOptions options,
                                absl::Status status) {
  StartWrite(message, options.set_last_message());
  absl::MutexLock lock(&mu_);
  write_silent_ = true;
  finishing_ = true;
  finish_ = std::move(status);
  Schedule();
}

void ServerCall::Finish(absl::Status status) {
  absl::MutexLock lock(&mu_);
  if (finishing_) return;
  finishing_ = true;
  finish_ = std::move(status);
  Schedule();
}

void ServerCall::Schedule() {
  if (reactor_ == nullptr || scheduled_) return;
  scheduled_ = true;
  session_->host()->RunReaction([self = shared_from_this()] { self->Pump(); });
}

void ServerCall::Pump() {
  const link::FlushScope flush_together;
  while (PumpOne()) link::FlushScope::FlushIfDue();
}

bool ServerCall::PumpOne() {
  enum class What { kCancel, kInitial, kRead, kNoRead, kWrite, kFinish, kDone } what;
  bool ok = false;
  bool silent = false;
  bool flush = false;
  bool compressed = false;
  uint64_t credit = 0;
  Inbound inbound;
  std::string bytes;
  google::protobuf::MessageLite* into = nullptr;
  ServerReactor* reactor = nullptr;
  {
    absl::MutexLock lock(&mu_);
    reactor = reactor_;
    const bool over = cancelled() || finished_;
    // An error does not wait for a client that may never read.
    const bool overtaken = finishing_ && !finish_.ok() && !write_silent_;
    if (sending_initial_) {
      what = What::kInitial;
      sending_initial_ = false;
      ok = !over;
    } else if (reading_ != nullptr && !inbound_.empty() && !over) {
      what = What::kRead;
      into = std::exchange(reading_, nullptr);
      inbound = TakeInbound(&credit);
    } else if (reading_ != nullptr && (over || half_closed_)) {
      what = What::kNoRead;
      reading_ = nullptr;
    } else if (writing_ && (over || write_failed_ || HasCredit() || overtaken)) {
      what = What::kWrite;
      writing_ = false;
      ok = !over && !write_failed_ && HasCredit();
      silent = write_silent_;
      flush = write_flush_;
      compressed = write_compressed_;
      bytes = std::move(write_);
      if (ok) sent_ += rpc::StreamCost(bytes.size());
    } else if (cancelled() && !cancel_told_ && !finishing_) {
      what = What::kCancel;
      cancel_told_ = true;
    } else if (finishing_ && !finished_ && !writing_) {
      what = What::kFinish;
      finished_ = true;
      status_ = finish_;
    } else if (finished_ && reading_ == nullptr) {
      what = What::kDone;
    } else {
      scheduled_ = false;
      return false;
    }
  }
  switch (what) {
    case What::kCancel:
      reactor->OnCancel();
      return true;
    case What::kInitial:
      if (ok) SendInitialMetadata();
      reactor->OnSendInitialMetadataDone(ok);
      return true;
    case What::kRead:
      if (credit != 0) session_->SendCredit(id_, credit);
      reactor->OnReadDone(Parse(std::move(inbound), into));
      return true;
    case What::kNoRead:
      reactor->OnReadDone(false);
      return true;
    case What::kWrite:
      if (ok) SendMessage(bytes, compressed, flush);
      if (!silent) reactor->OnWriteDone(ok);
      return true;
    case What::kFinish:
      CheckResult();
      session_->EndCall(shared_from_this());
      if (has_work_after_reply()) {
        session_->FlushNow();
        OnReplySent();
      } else {
        session_->Flush();
      }
      return true;
    case What::kDone:
      break;
  }
  // It stays scheduled for good.
  context_.StopTelling();
  reactor->UnbindCall();
  reactor->OnDone();
  std::function<void()> tell;
  {
    absl::MutexLock lock(&mu_);
    done_ = true;
    tell.swap(when_done_);
  }
  if (tell != nullptr) tell();
  return false;
}

}  // namespace spoolrpc::server
