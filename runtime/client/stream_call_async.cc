// The asynchronous half of a call: what starts operations, and what tells the program.
#include <algorithm>
#include <utility>

#include "spoolrpc/client/stream_call.h"
#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/link/flush_scope.h"

namespace spoolrpc::client {

void StreamCall::BindReactor(ClientReactor* reactor, std::shared_ptr<void> keep) {
  async_ = true;
  reactor_ = reactor;
  keep_ = std::move(keep);
}

void StreamCall::BindCallback(std::function<void(absl::Status)> done, std::shared_ptr<void> keep) {
  async_ = true;
  callback_ = std::move(done);
  keep_ = std::move(keep);
}

void StreamCall::StartCall() {
  bool failed = false;
  {
    absl::MutexLock lock(&mu_);
    if (self_ != nullptr || end_told_) return;
    self_ = std::static_pointer_cast<StreamCall>(shared_from_this());
    failed = state_ == State::kEnded;
    if (!failed) {
      state_ = State::kConnecting;
      SetDeadline();
    }
    Schedule();
  }
  if (failed) return;
  if (request_ != nullptr) request_size_ = request_->ByteSizeLong();
  counter_.OnSend(request_size_);
  hooked_ = true;
  // (Taken away before the end is told, for which that waits if it is being called.)
  access().SetCancelHook([this] { Cancel(); });
  ConnectAsync();
}

void StreamCall::SetDeadline() {
  const bool acknowledged =
      attempt_ != nullptr && attempt_->acknowledged.load(std::memory_order_acquire);
  const os::Nanos until = acknowledged ? settings_.deadline
                          : attempt_ != nullptr
                              ? std::min(settings_.deadline, attempt_->ack_deadline)
                              : std::min(settings_.deadline, settings_.connect_deadline);
  if (until == os::kNever) return;
  has_deadline_ = true;
  resources_->deadlines->Add(this, until);
}

void StreamCall::OnDue() {
  auto self = std::static_pointer_cast<StreamCall>(weak_from_this().lock());
  if (self == nullptr) return;
  exec::ThreadPool::Shared()->Run([self = std::move(self)] { self->OnDeadline(); });
}

void StreamCall::OnDeadline() {
  const AtWork at_work(this);
  ClientCall* attempt = nullptr;
  std::shared_ptr<ClientSession> session;
  {
    absl::MutexLock lock(&mu_);
    has_deadline_ = false;
    if (state_ == State::kEnded) return;
    if (state_ == State::kConnecting && wait_ != 0 && resources_->pool->CancelWait(wait_)) {
      wait_ = 0;
      End(NoSession(absl::DeadlineExceededError(resources_->pool->situation(*method_)), *method_,
                    settings_, resources_->clock->Now(), *resources_));
      return;
    }
    if (state_ == State::kOpen) {
      attempt = attempt_;
      session = session_;
    }
  }
  if (session != nullptr) session->GiveUpIfDue(attempt);
  absl::MutexLock lock(&mu_);
  if (state_ != State::kEnded && !has_deadline_) SetDeadline();
}

void StreamCall::StartRead(google::protobuf::MessageLite* message) {
  absl::MutexLock lock(&mu_);
  reading_ = message;
  Schedule();
}

void StreamCall::StartWrite(const google::protobuf::MessageLite* message, WriteOptions options) {
  Written written;
  written.compress = !options.get_no_compression();
  absl::Status failure = Serialize(*message, &written.bytes);
  {
    absl::MutexLock lock(&mu_);
    writing_ = true;
    write_failed_ = !failure.ok() || half_closed_;
    write_last_ = options.is_last_message();
    write_ = std::move(written);
    Schedule();
  }
  if (!failure.ok()) FailAttempt(std::move(failure));
}

void StreamCall::StartWritesDone() {
  absl::MutexLock lock(&mu_);
  closing_ = true;
  Schedule();
}

void StreamCall::AddHolds(int holds) {
  absl::MutexLock lock(&mu_);
  holds_ += holds;
}

void StreamCall::RemoveHold() {
  absl::MutexLock lock(&mu_);
  --holds_;
  Schedule();
}

void StreamCall::Schedule() {
  if (!async() || scheduled_ || state_ == State::kIdle || self_ == nullptr || !HasNews()) return;
  scheduled_ = true;
  RunCallbacksSoon(self_);
}

bool StreamCall::HasNews() const {
  // (What PumpOne() would do.)
  const bool ended = state_ == State::kEnded;
  return (state_ == State::kOpen && attempt_->done.load(std::memory_order_acquire)) ||
         (reactor_ != nullptr && !initial_told_ && (initial_ || ended || !inbound_.empty())) ||
         (reading_ != nullptr && (ended || !inbound_.empty())) ||
         (writing_ && (ended || write_failed_ || HasCredit())) || (closing_ && !writing_) ||
         (ended && holds_ == 0 && at_work_ == 0 && !end_told_);
}

void StreamCall::RunCallbacks() {
  const link::FlushScope flush_together;
  while (PumpOne()) link::FlushScope::FlushIfDue();
}

bool StreamCall::PumpOne() {
  enum class What { kAttempt, kInitial, kRead, kNoRead, kWrite, kClose, kEnd } what;
  bool ok = false;
  Inbound inbound;
  google::protobuf::MessageLite* into = nullptr;
  {
    absl::MutexLock lock(&mu_);
    const bool ended = state_ == State::kEnded;
    if (state_ == State::kOpen && attempt_->done.load(std::memory_order_acquire)) {
      what = What::kAttempt;
    } else if (reactor_ != nullptr && !initial_told_ && (initial_ || ended || !inbound_.empty())) {
      what = What::kInitial;
      initial_told_ = true;
      ok = initial_ || !inbound_.empty() || status_.ok();
    } else if (reading_ != nullptr && !inbound_.empty()) {
      what = What::kRead;
      into = std::exchange(reading_, nullptr);
      inbound = TakeInbound();
    } else if (reading_ != nullptr && ended) {
      what = What::kNoRead;
      reading_ = nullptr;
    } else if (writing_ && (ended || write_failed_ || HasCredit())) {
      what = What::kWrite;
      writing_ = false;
      ok = !ended && !write_failed_;
      if (ok) {
        SendOrKeep(std::move(write_));
        if (write_last_) {
          half_closed_ = true;
          SendOrKeep({/*half_close=*/true, false, ""});
        }
      }
    } else if (closing_ && !writing_) {
      what = What::kClose;
      closing_ = false;
      ok = !ended && !half_closed_;
      if (ok) {
        half_closed_ = true;
        SendOrKeep({/*half_close=*/true, false, ""});
      }
    } else if (ended && holds_ == 0 && at_work_ == 0 && !end_told_) {
      what = What::kEnd;
      end_told_ = true;
    } else {
      scheduled_ = false;
      return false;
    }
  }
  switch (what) {
    case What::kAttempt:
      AfterAttempt();
      return true;
    case What::kInitial:
      reactor_->OnReadInitialMetadataDone(ok);
      return true;
    case What::kRead: {
      TellCredit();
      absl::Status parsed = Parse(std::move(inbound), into);
      ok = parsed.ok();
      if (!ok) FailAttempt(std::move(parsed));
      reactor_->OnReadDone(ok);
      return true;
    }
    case What::kNoRead:
      reactor_->OnReadDone(false);
      return true;
    case What::kWrite:
      if (ok) FlushSession();
      reactor_->OnWriteDone(ok);
      return true;
    case What::kClose:
      if (ok) FlushSession();
      reactor_->OnWritesDoneDone(ok);
      return true;
    case What::kEnd:
      TellEnd();
      return false;  // for good: it stays scheduled
  }
  return false;
}

void StreamCall::TellEnd() {
  if (hooked_) access().SetCancelHook(nullptr);
  // In this order: the session before the channel that has made it.
  std::shared_ptr<void> keep = std::move(keep_);
  std::shared_ptr<StreamCall> self;
  std::shared_ptr<ClientSession> session;
  absl::Status status;
  {
    absl::MutexLock lock(&mu_);
    self = std::move(self_);
    session = std::move(session_);
    status = status_;
    if (std::exchange(has_deadline_, false)) resources_->deadlines->Remove(this);
  }
  session.reset();
  if (reactor_ != nullptr) {
    reactor_->OnDone(status);
    return;
  }
  const std::function<void(absl::Status)> done = std::move(callback_);
  done(std::move(status));
}
}  // namespace spoolrpc::client
