#include "spoolrpc/client/stream_call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/compress/message_codec.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/rpc/stream_window.h"
#include "spoolrpc/spool/reason.h"

namespace spoolrpc::client {
namespace {

bool ClientStreams(const MethodInfo& method) {
  return method.kind == MethodKind::kClientStreaming || method.kind == MethodKind::kBidiStreaming;
}

}  // namespace

absl::Status NoSession(const absl::Status& status, const MethodInfo& method,
                       const CallSettings& settings, os::Nanos now,
                       const CallResources& resources) {
  const std::string& path = resources.path;
  const std::string waited = absl::FormatDuration(absl::Nanoseconds(now - settings.began));
  if (absl::IsCancelled(status)) {
    return rpc::TransportError(absl::StatusCode::kCancelled, ErrorInfo::CANCELLED,
                               "the caller cancelled the call", false, method.full_name);
  }
  if (!absl::IsDeadlineExceeded(status)) {
    return rpc::TransportErrorFrom(status, spool::ReasonOf(status, ErrorInfo::SPOOL_UNUSABLE),
                                   false, method.full_name, path);
  }
  if (settings.deadline <= now) {
    return rpc::TransportError(
        absl::StatusCode::kDeadlineExceeded, ErrorInfo::DEADLINE,
        absl::StrCat("the deadline passed after ", waited, ": ", status.message()), false,
        method.full_name, path);
  }
  return rpc::TransportError(
      resources.pool->Unoffered(method) ? absl::StatusCode::kUnimplemented
                                        : absl::StatusCode::kUnavailable,
      ErrorInfo::NO_SERVER,
      absl::StrCat("no server within the ack timeout (", waited, "): ", status.message()), false,
      method.full_name, path);
}

os::Nanos AckDeadline(const CallSettings& settings, const os::Clock& clock) {
  // Who waits for a server for longer begins to count when there is one.
  if (settings.connect_deadline <= settings.ack_deadline) return settings.ack_deadline;
  return os::After(clock.Now(), absl::Nanoseconds(settings.ack_timeout));
}

StreamCall::StreamCall(const CallResources* resources, const MethodInfo& method,
                       ClientContext* context, const CallSettings& settings,
                       const google::protobuf::MessageLite* request,
                       google::protobuf::MessageLite* reply)
    : resources_(resources),
      method_(&method),
      context_(context),
      settings_(settings),
      request_(request),
      reply_(reply) {
  absl::MutexLock lock(&mu_);
  half_closed_ = !ClientStreams(method);
}

StreamCall::~StreamCall() {
  absl::MutexLock lock(&mu_);
  if (state_ == State::kEnded) return;
  // It never began.
  if (limit_ != nullptr) limit_->Release();
  counter_.OnEnd(absl::StatusCode::kCancelled);
}

StreamCall::AtWork::AtWork(StreamCall* call)
    : call_(std::static_pointer_cast<StreamCall>(call->shared_from_this())) {
  absl::MutexLock lock(&call_->mu_);
  ++call_->at_work_;
}

StreamCall::AtWork::~AtWork() {
  absl::MutexLock lock(&call_->mu_);
  if (--call_->at_work_ == 0 && call_->state_ == State::kEnded) call_->Schedule();
}

// ---------------------------------------------------------------- attempts

void StreamCall::End(absl::Status status) {
  if (state_ == State::kEnded) return;
  state_ = State::kEnded;
  status_ = std::move(status);
  DropReplay();
  if (limit_ != nullptr) limit_->Release();
  if (counter_.counts() && status_.ok() && reply_ != nullptr) {
    counter_.OnReceive(reply_->ByteSizeLong());
  }
  counter_.OnEnd(status_.code());
  changed_.SignalAll();
  Schedule();
}

std::string StreamCall::server_id() const {
  absl::MutexLock lock(&mu_);
  return session_ == nullptr ? "" : session_->server().id;
}

void StreamCall::FailWith(absl::Status status) {
  absl::MutexLock lock(&mu_);
  End(std::move(status));
}

bool StreamCall::BeginOn(const std::shared_ptr<ClientSession>& session) {
  const AtWork at_work(this);
  ClientCall* attempt = nullptr;
  // Goes without the lock, which its own threads take.
  std::shared_ptr<ClientSession> former;
  {
    absl::MutexLock lock(&mu_);
    if (state_ != State::kConnecting) return true;
    attempt = first_attempt_.has_value() ? &later_attempts_.emplace_back(*method_, context_)
                                         : &first_attempt_.emplace(*method_, context_);
    attempt->request = request_;
    attempt->request_size = request_size_;
    attempt->reply = reply_;
    attempt->max_reply_size = resources_->max_receive_size;
    attempt->began = settings_.began;
    attempt->deadline = settings_.deadline;
    attempt->ack_deadline = AckDeadline(settings_, *resources_->clock);
    attempt->previous_attempts = settings_.previous_attempts;
    attempt->compression = settings_.compression;
    attempt->observer = this;
    attempt->async = async();
    attempt_ = attempt;
    former = std::exchange(session_, session);
    credit_ = granted_ = told_ = rpc::kStreamWindow;
    sent_ = taken_ = received_ = 0;
  }
  if (!session->Begin(attempt)) {
    if (attempt->resend) return false;
    absl::MutexLock lock(&mu_);
    End(attempt->status);
    return true;
  }
  bool flush = false;
  {
    absl::MutexLock lock(&mu_);
    sent_ = 0;
    for (const Written& written : replay_) {
      SendNow(written);
      flush = true;
    }
    // The server may have shown meanwhile that it has begun.
    if (!replayable_) DropReplay();
    state_ = State::kOpen;
    // One that waits for a server for long has not had this deadline before.
    if (async() && attempt->ack_deadline < settings_.connect_deadline) {
      if (std::exchange(has_deadline_, false)) resources_->deadlines->Remove(this);
      SetDeadline();
    }
    // What came meanwhile may have been taken, too.
    if (SendCredit()) flush = true;
    changed_.SignalAll();
    Schedule();  // what came meanwhile
  }
  if (flush) session->Flush();
  // The caller may have cancelled before there was anything to give up. (At a deadline a timer
  // comes by.)
  if (access().cancelled()) session->GiveUpIfDue(attempt);
  return true;
}

void StreamCall::Connect() {
  const os::Clock* const clock = resources_->clock;
  for (;;) {
    absl::StatusOr<std::shared_ptr<ClientSession>> found =
        resources_->pool->TryGet(method_, settings_.avoid);
    if (access().cancelled()) {
      found = absl::CancelledError("");
    } else if (*found == nullptr) {
      found = resources_->pool->Get(method_, settings_.connect_deadline, settings_.fail_fast,
                                    [this] { return access().cancelled(); });
    }
    if (!found.ok()) {
      absl::MutexLock lock(&mu_);
      End(NoSession(found.status(), *method_, settings_, clock->Now(), *resources_));
      return;
    }
    if (BeginOn(*found)) return;
  }
}

void StreamCall::ConnectAsync() {
  for (;;) {
    if (access().cancelled()) {
      absl::MutexLock lock(&mu_);
      End(NoSession(absl::CancelledError(""), *method_, settings_, settings_.began, *resources_));
      return;
    }
    std::shared_ptr<ClientSession> session = resources_->pool->TryGet(method_, settings_.avoid);
    if (session == nullptr) break;
    if (BeginOn(session)) return;
  }
  auto self = std::static_pointer_cast<StreamCall>(shared_from_this());
  absl::MutexLock lock(&mu_);
  if (state_ != State::kConnecting) return;
  // Called on a thread of the runtime, later.
  wait_ = resources_->pool->GetAsync(
      method_, settings_.fail_fast, [self](absl::StatusOr<std::shared_ptr<ClientSession>> found) {
        {
          absl::MutexLock inner(&self->mu_);
          self->wait_ = 0;
          if (!found.ok()) {
            self->End(NoSession(found.status(), *self->method_, self->settings_,
                                self->resources_->clock->Now(), *self->resources_));
            return;
          }
        }
        if (!self->BeginOn(*found)) self->ConnectAsync();
      });
  // The caller may have cancelled since the look above, before there was anything to cancel.
  if (access().cancelled() && resources_->pool->CancelWait(wait_)) {
    wait_ = 0;
    End(NoSession(absl::CancelledError(""), *method_, settings_, settings_.began, *resources_));
  }
}

void StreamCall::AfterAttempt() {
  ClientCall* attempt = nullptr;
  std::shared_ptr<ClientSession> session;
  {
    absl::MutexLock lock(&mu_);
    if (state_ != State::kOpen || attempt_ == nullptr ||
        !attempt_->done.load(std::memory_order_acquire)) {
      return;
    }
    attempt = attempt_;
    session = session_;
    if (attempt->resend && (!replayable_ || !inbound_.empty() || taken_ > 0)) {
      attempt->resend = false;
      attempt->status = rpc::TransportError(
          absl::StatusCode::kUnavailable, ErrorInfo::NOT_STARTED,
          "the server returned the call unstarted, and what was written is no longer kept", false,
          method_->full_name);
    }
    // Others that wait leave it to this thread.
    state_ = State::kConnecting;
    attempt_ = nullptr;
  }
  if (attempt->resend) {
    if (async()) {
      ConnectAsync();
    } else {
      Connect();
    }
    return;
  }
  session->ParseReply(attempt);
  absl::MutexLock lock(&mu_);
  End(attempt->status);
}

uint32_t StreamCall::version() const {
  return attempt_ == nullptr ? 0 : attempt_->version.load(std::memory_order_acquire);
}

void StreamCall::AwaitChange(uint32_t version) {
  ClientCall* attempt = nullptr;
  std::shared_ptr<ClientSession> session;
  {
    absl::MutexLock lock(&mu_);
    if (state_ == State::kEnded) return;
    if (state_ == State::kConnecting) {
      changed_.Wait(&mu_);  // another thread sees to it
      return;
    }
    attempt = attempt_;
    session = session_;
  }
  session->Await(attempt, version);
  if (attempt->done.load(std::memory_order_acquire)) AfterAttempt();
}

void StreamCall::Cancel() {
  ClientCall* attempt = nullptr;
  std::shared_ptr<ClientSession> session;
  {
    absl::MutexLock lock(&mu_);
    if (state_ == State::kConnecting) {
      if (!async()) {
        resources_->pool->WakeAll();
      } else if (wait_ != 0 && resources_->pool->CancelWait(wait_)) {
        wait_ = 0;
        End(NoSession(absl::CancelledError(""), *method_, settings_, settings_.began, *resources_));
      }
      return;  // or BeginOn() notices
    }
    if (state_ != State::kOpen) return;
    attempt = attempt_;
    session = session_;
  }
  session->GiveUpIfDue(attempt);
}

// ---------------------------------------------------------------- what comes

void StreamCall::OnInitialMetadata(Metadata metadata) {
  access().SetInitialMetadata(std::move(metadata));
  absl::MutexLock lock(&mu_);
  initial_ = true;
  replayable_ = false;
  if (state_ == State::kOpen) DropReplay();
  Schedule();
}

bool StreamCall::OnMessage(std::string bytes, bool compressed) {
  absl::MutexLock lock(&mu_);
  if (received_ >= granted_) return false;
  received_ += rpc::StreamCost(bytes.size());
  replayable_ = false;
  if (state_ == State::kOpen) DropReplay();
  if (dropping_) {
    taken_ += rpc::StreamCost(bytes.size());
    return true;
  }
  inbound_.push_back({std::move(bytes), compressed});
  Schedule();
  return true;
}

void StreamCall::OnCredit(uint64_t total) {
  absl::MutexLock lock(&mu_);
  // The handler reads.
  replayable_ = false;
  if (state_ == State::kOpen) DropReplay();
  credit_ = std::max(credit_, total);
  Schedule();
}

void StreamCall::OnEnded() {
  absl::MutexLock lock(&mu_);
  Schedule();
}

StreamCall::Inbound StreamCall::TakeInbound() {
  Inbound inbound = std::move(inbound_.front());
  inbound_.pop_front();
  taken_ += rpc::StreamCost(inbound.bytes.size());
  GrantCredit();
  return inbound;
}

void StreamCall::GrantCredit() {
  if (taken_ + rpc::kStreamWindow >= granted_ + rpc::kStreamWindow / 2) {
    granted_ = taken_ + rpc::kStreamWindow;
  }
}

bool StreamCall::SendCredit() {
  if (told_ == granted_) return false;
  told_ = granted_;
  session_->SendCredit(*attempt_, granted_);
  return true;
}

void StreamCall::TellCredit() {
  std::shared_ptr<ClientSession> session;
  {
    absl::MutexLock lock(&mu_);
    // (Before that BeginOn() tells it.)
    if (state_ != State::kOpen || !SendCredit()) return;
    session = session_;
  }
  session->Flush();
}

absl::Status StreamCall::Parse(Inbound inbound, google::protobuf::MessageLite* message) const {
  absl::Status parsed;
  access().SetReplyCompressed(inbound.compressed);
  if (inbound.compressed) {
    auto whole = compress::Decompress(inbound.bytes, resources_->max_receive_size);
    parsed = whole.status();
    if (whole.ok()) inbound.bytes = *std::move(whole);
  }
  if (parsed.ok()) {
    counter_.OnReceive(inbound.bytes.size());
    parsed = rpc::ParseMessage(inbound.bytes, method_->full_name, message);
  }
  if (parsed.ok()) return parsed;
  return rpc::TransportErrorFrom(parsed, ErrorInfo::BAD_MESSAGE, true);
}

// ---------------------------------------------------------------- what goes

absl::Status StreamCall::Serialize(const google::protobuf::MessageLite& message,
                                   std::string* bytes) const {
  size_t size = 0;
  if (absl::Status s = rpc::CheckSerializable(message, method_->full_name, &size); !s.ok()) {
    return rpc::TransportErrorFrom(s, ErrorInfo::BAD_MESSAGE, true);
  }
  if (size > resources_->max_send_size) {
    return rpc::TransportError(
        absl::StatusCode::kResourceExhausted, ErrorInfo::MESSAGE_TOO_LARGE,
        absl::StrCat("the message has ", size, " bytes, this channel sends at most ",
                     resources_->max_send_size),
        true, method_->full_name);
  }
  message.SerializePartialToString(bytes);
  return absl::OkStatus();
}

void StreamCall::SendNow(const Written& written) {
  if (written.half_close) {
    session_->SendHalfClose(*attempt_);
    return;
  }
  std::string compressed;
  const bool smaller = written.compress && session_->Takes(settings_.compression) &&
                       compress::Compress(written.bytes, &compressed).ok() &&
                       compressed.size() < written.bytes.size();
  const std::string& bytes = smaller ? compressed : written.bytes;
  session_->SendMessage(*attempt_, smaller ? log::kCompressed : 0, bytes);
  sent_ += rpc::StreamCost(bytes.size());
}

void StreamCall::DropReplay() {
  replay_.clear();
  own_request_.reset();
}

void StreamCall::SendOrKeep(Written written) {
  counter_.OnSend(written.bytes.size());  // (None, if it closes the stream.)
  if (state_ == State::kOpen) {
    SendNow(written);
  } else if (!written.half_close) {
    sent_ += rpc::StreamCost(written.bytes.size());
  }
  if (replayable_ || state_ == State::kConnecting) replay_.push_back(std::move(written));
}

void StreamCall::FlushSession() {
  std::shared_ptr<ClientSession> session;
  {
    absl::MutexLock lock(&mu_);
    if (state_ != State::kOpen) return;
    session = session_;
  }
  session->Flush();
}

void StreamCall::FailAttempt(absl::Status status) {
  const AtWork at_work(this);
  ClientCall* attempt = nullptr;
  std::shared_ptr<ClientSession> session;
  {
    absl::MutexLock lock(&mu_);
    if (state_ != State::kOpen) {
      End(std::move(status));
      return;
    }
    attempt = attempt_;
    session = session_;
  }
  session->Fail(attempt, std::move(status));
  if (!async()) AfterAttempt();
}

// ---------------------------------------------------------------- blocking

void StreamCall::Begin() {
  {
    absl::MutexLock lock(&mu_);
    if (state_ != State::kIdle) return;
    state_ = State::kConnecting;
    if (request_ != nullptr) {
      own_request_.reset(request_->New());
      own_request_->CheckTypeAndMergeFrom(*request_);
      request_ = own_request_.get();
    }
  }
  if (request_ != nullptr) request_size_ = request_->ByteSizeLong();
  counter_.OnSend(request_size_);
  hooked_ = true;
  access().SetCancelHook([this] { Cancel(); });
  Connect();
}

void StreamCall::WaitForInitialMetadata() {
  for (;;) {
    uint32_t seen = 0;
    {
      absl::MutexLock lock(&mu_);
      if (initial_ || !inbound_.empty() || taken_ > 0 || state_ == State::kEnded) return;
      seen = version();
    }
    AwaitChange(seen);
  }
}

bool StreamCall::Read(google::protobuf::MessageLite* message) {
  Inbound inbound;
  for (;;) {
    uint32_t seen = 0;
    {
      absl::MutexLock lock(&mu_);
      if (!inbound_.empty()) {
        inbound = TakeInbound();
        break;
      }
      if (state_ == State::kEnded) return false;
      seen = version();
    }
    AwaitChange(seen);
  }
  TellCredit();
  absl::Status parsed = Parse(std::move(inbound), message);
  if (parsed.ok()) return true;
  FailAttempt(std::move(parsed));
  return false;
}

bool StreamCall::Write(const google::protobuf::MessageLite& message, WriteOptions options) {
  Written written;
  written.compress = !options.get_no_compression();
  if (absl::Status s = Serialize(message, &written.bytes); !s.ok()) {
    FailAttempt(std::move(s));
    return false;
  }
  for (;;) {
    uint32_t seen = 0;
    {
      absl::MutexLock lock(&mu_);
      if (state_ == State::kEnded || half_closed_) return false;
      if (attempt_ != nullptr && attempt_->done.load(std::memory_order_acquire)) {
        seen = ~version();  // does not wait
      } else if (HasCredit()) {
        SendOrKeep(std::move(written));
        if (options.is_last_message()) {
          half_closed_ = true;
          SendOrKeep({/*half_close=*/true, false, ""});
        }
        break;
      } else {
        seen = version();
      }
    }
    // The server makes room for what it reads: what was kept back goes out now.
    FlushSession();
    AwaitChange(seen);
  }
  if (!options.get_buffer_hint()) FlushSession();
  return true;
}

bool StreamCall::WritesDone() {
  {
    absl::MutexLock lock(&mu_);
    if (state_ == State::kEnded || half_closed_) return false;
    half_closed_ = true;
    SendOrKeep({/*half_close=*/true, false, ""});
  }
  FlushSession();
  return true;
}

absl::Status StreamCall::Finish() {
  WritesDone();
  for (;;) {
    uint32_t seen = 0;
    {
      absl::MutexLock lock(&mu_);
      dropping_ = true;
      while (!inbound_.empty()) TakeInbound();
      GrantCredit();
      if (state_ == State::kEnded) break;
      seen = version();
    }
    TellCredit();
    AwaitChange(seen);
  }
  Abandon();
  absl::MutexLock lock(&mu_);
  return status_;
}

void StreamCall::Abandon() {
  for (;;) {
    ClientCall* attempt = nullptr;
    std::shared_ptr<ClientSession> session;
    {
      absl::MutexLock lock(&mu_);
      if (state_ == State::kOpen) {
        attempt = attempt_;
        session = session_;
      } else if (state_ != State::kConnecting) {
        session.swap(session_);  // it goes without the lock
        break;
      }
    }
    if (session != nullptr) {
      session->Fail(attempt, rpc::TransportError(absl::StatusCode::kCancelled, ErrorInfo::CANCELLED,
                                                 "the stream was dropped before its end", true,
                                                 method_->full_name));
      attempt->resend = false;
    }
    AfterAttempt();
  }
  if (hooked_) access().SetCancelHook(nullptr);
}

}  // namespace spoolrpc::client
