#include "spoolrpc/link/session_link.h"

#include <string.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::link {

SessionLink::SessionLink(LinkOptions options)
    : env_(options.env),
      flusher_(options.flusher),
      on_written_(std::move(options.on_written)),
      own_bell_(options.own_bell),
      own_slot_(options.own_slot),
      peer_bell_(std::move(options.peer_bell)),
      peer_slot_(options.peer_slot),
      max_single_(options.writer->max_payload() - kHeaderSizeField),
      write_path_(options.writer->path()),
      bulk_out_(std::move(options.bulk_out)),
      bulk_in_(std::move(options.bulk_in)),
      writer_(std::move(options.writer)),
      own_lease_(options.own_term),
      reader_(std::move(options.reader)),
      observer_(options.peer_term) {
  const os::Nanos now = env_.clock->Now();
  last_look_ = now;
  last_reading_ = now;
  // The writing of the first head, a moment ago, and nobody has read it yet.
  own_lease_.OnUnwatched(now);
}

SessionLink::~SessionLink() = default;

// ---------------------------------------------------------------- sending

template <typename PutMessage>
bool SessionLink::SendNow(log::FrameType type, uint8_t flags, uint64_t call,
                          const google::protobuf::MessageLite* header, size_t header_size,
                          size_t size, PutMessage put_message, uint64_t* position) {
  const size_t payload = (header == nullptr ? 0 : kHeaderSizeField + header_size) + size;
  absl::MutexLock lock(&mu_);
  // Under the lock: of two frames the later never says less.
  const uint64_t consumed = consumed_.load(std::memory_order_relaxed);
  if (!queue_.empty() || payload > writer_->max_payload() ||
      !writer_->HasRoom(payload, /*control=*/false)) {
    return false;
  }
  *position = writer_->end();
  char* to = writer_->BeginFrame(payload);
  if (header != nullptr) {
    const uint32_t size_field = static_cast<uint32_t>(header_size);
    memcpy(to, &size_field, sizeof(size_field));
    to += kHeaderSizeField;
    to = reinterpret_cast<char*>(
        header->SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(to)));
  }
  put_message(to);
  writer_->EndFrame(type, flags, call, consumed);
  consumed_told_ = consumed;
  ++unwritten_;
  return true;
}

uint64_t SessionLink::SendLater(log::FrameType type, uint8_t flags, uint64_t call,
                                const google::protobuf::MessageLite* header, std::string message) {
  Outgoing outgoing;
  outgoing.type = type;
  outgoing.flags = flags;
  outgoing.call = call;
  return SendLater(std::move(outgoing), header, std::move(message));
}

uint64_t SessionLink::SendLater(Outgoing outgoing, const google::protobuf::MessageLite* header,
                                std::string message) {
  if (header != nullptr) {
    const uint32_t size_field = static_cast<uint32_t>(header->ByteSizeLong());
    outgoing.header.assign(reinterpret_cast<const char*>(&size_field), sizeof(size_field));
    header->AppendPartialToString(&outgoing.header);
  }
  if (outgoing.type == log::FrameType::kReply) {
    outgoing.body = std::move(outgoing.header) + message;
    outgoing.header.clear();
  } else {
    outgoing.body = std::move(message);
  }
  absl::MutexLock lock(&mu_);
  const uint64_t position = writer_->end();
  queue_.AddMessage(std::move(outgoing));
  queue_.Pump(writer_.get(), consumed_.load(std::memory_order_relaxed));
  NoteWaiting();
  return position;
}

uint64_t SessionLink::SendBulk(log::FrameType type, uint8_t flags, uint64_t call,
                               const google::protobuf::MessageLite* header,
                               std::unique_ptr<BulkLoan> loan) {
  std::string reference = EncodeBulkReference(loan->reference());
  const auto put = [&](char* to) { memcpy(to, reference.data(), reference.size()); };
  flags |= log::kBulk;
  uint64_t position = 0;
  const size_t header_size = header == nullptr ? 0 : header->ByteSizeLong();
  if (SendNow(type, flags, call, header, header_size, reference.size(), put, &position)) {
    loan->SetWritten();
    return position;
  }
  Outgoing outgoing;
  outgoing.type = type;
  outgoing.flags = flags;
  outgoing.call = call;
  outgoing.loan = std::move(loan);
  return SendLater(std::move(outgoing), header, std::move(reference));
}

uint64_t SessionLink::SendMessage(log::FrameType type, uint8_t flags, uint64_t call,
                                  const google::protobuf::MessageLite* header,
                                  const google::protobuf::MessageLite* message, size_t size) {
  const auto put = [&](char* to) {
    if (message != nullptr) {
      message->SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(to));
    }
  };
  uint64_t position = 0;
  const size_t header_size = header == nullptr ? 0 : header->ByteSizeLong();
  if (SendNow(type, flags, call, header, header_size, size, put, &position)) return position;
  std::string bytes;
  if (message != nullptr) message->AppendPartialToString(&bytes);
  return SendLater(type, flags, call, header, std::move(bytes));
}

uint64_t SessionLink::SendBytes(log::FrameType type, uint8_t flags, uint64_t call,
                                const google::protobuf::MessageLite* header,
                                absl::string_view message) {
  const auto put = [&](char* to) { memcpy(to, message.data(), message.size()); };
  uint64_t position = 0;
  const size_t header_size = header == nullptr ? 0 : header->ByteSizeLong();
  if (SendNow(type, flags, call, header, header_size, message.size(), put, &position)) {
    return position;
  }
  return SendLater(type, flags, call, header, std::string(message));
}

void SessionLink::SendControl(log::FrameType type, uint8_t flags, uint64_t call,
                              std::string payload) {
  absl::MutexLock lock(&mu_);
  queue_.AddControl(type, flags, call, std::move(payload));
  queue_.Pump(writer_.get(), consumed_.load(std::memory_order_relaxed));
  NoteWaiting();
}

bool SessionLink::TakeBack(uint64_t call) {
  absl::MutexLock lock(&mu_);
  bool found = false;
  const bool all = queue_.Remove(call, &found) && found;
  NoteWaiting();
  return all;
}

void SessionLink::Ring(uint64_t position) {
  if (peer_bell_ != nullptr) peer_bell_->Ring(peer_slot_, position);
}

absl::Status SessionLink::CheckNames() {
  // A writer whose log was unlinked by another client gets no error, not even from a flush.
  const auto open = writer_->file().Stat();
  if (!open.ok()) return open.status();
  const auto named = os::StatPath(env_.calls, write_path_);
  if (absl::IsNotFound(named.status()) || (named.ok() && named->inode != open->inode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("write ", write_path_, ": the file was removed"));
  }
  return absl::OkStatus();
}

void SessionLink::WriteOut() {
  absl::MutexLock lock(&mu_);
  // Whoever writes takes what others send meanwhile: under load many frames share one write.
  if (writing_) return;
  writing_ = true;
  const auto tell = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (on_written_ == nullptr) return;
    mu_.Unlock();
    on_written_();
    mu_.Lock();
  };
  bool told = false;
  bool gave_way = false;
  const auto wants_renewal = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    // A closed head is the last: it says that there is no more to be seen.
    return renewals_done_ < renewals_asked_ &&
           (!renewals_suspended_ || state_ == log::WriterState::kClosed);
  };
  while (broken_.ok()) {
    if (!writer_->has_batch() && !wants_renewal()) {
      if (told) break;
      // Not even room to write: the peer has to be read.
      told = true;
      tell();
      continue;
    }
    // A write to a file server takes long, and costs it the same for one frame and for fifty: where
    // several are under way, who is ready to run adds his before it begins.
    if (flusher_ != nullptr && !gave_way && unwritten_ + written_together_ > 2) {
      gave_way = true;
      mu_.Unlock();
      std::this_thread::yield();
      mu_.Lock();
      continue;
    }
    gave_way = false;
    written_together_ = std::exchange(unwritten_, 0);
    const uint64_t renewals = renewals_asked_;
    const bool renew = wants_renewal();
    const log::WriterState state = state_;
    renewing_ = renew;
    const bool has_batch = writer_->has_batch();
    if (has_batch) writer_->TakeBatch(&batch_);
    mu_.Unlock();
    absl::Status status;
    const os::Nanos began = renew ? env_.clock->Now() : 0;
    if (has_batch) {
      status = writer_->Write(batch_);
      if (status.ok()) Ring(batch_.end());
    }
    if (status.ok() && renew) {
      status = CheckNames();
      if (status.ok()) status = writer_->WriteHead(state);
      if (status.ok() && state == log::WriterState::kClosed && peer_bell_ != nullptr) {
        peer_bell_->Wake();
      }
    }
    mu_.Lock();
    if (status.ok()) {
      if (has_batch) written_to_ = batch_.end();
      if (renew) {
        renewals_done_ = renewals;
        own_lease_.OnRenewed(began, env_.clock->Now());
      }
    } else {
      broken_ = status;
    }
    renewing_ = false;
    if (waiters_ > 0) written_.SignalAll();
    tell();
    told = true;
  }
  writing_ = false;
  if (!broken_.ok()) written_.SignalAll();
}

absl::Status SessionLink::Flush() {
  if (flusher_ != nullptr) {
    {
      absl::MutexLock lock(&mu_);
      if (!broken_.ok()) return broken_;
      // The thread that writes takes it along.
      if (writing_) return absl::OkStatus();
    }
    flusher_->Schedule(shared_from_this());
    return absl::OkStatus();
  }
  WriteOut();
  absl::MutexLock lock(&mu_);
  return broken_;
}

absl::Status SessionLink::WaitWritten(uint64_t position, uint64_t renewals,
                                      absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::MutexLock lock(&mu_);
  ++waiters_;
  while (broken_.ok() && (written_to_ < position || renewals_done_ < renewals)) {
    if (written_.WaitWithDeadline(&mu_, deadline)) break;
  }
  --waiters_;
  if (!broken_.ok()) return broken_;
  if (written_to_ < position || renewals_done_ < renewals) {
    return absl::DeadlineExceededError(
        absl::StrCat("flush ", write_path_, ": not done after ", absl::FormatDuration(timeout)));
  }
  return absl::OkStatus();
}

absl::Status SessionLink::FlushAndWait(absl::Duration timeout, bool mark) {
  const absl::Time deadline = absl::Now() + timeout;
  uint64_t position;
  uint64_t renewals = 0;
  {
    absl::MutexLock lock(&mu_);
    ++waiters_;
    // Control frames that do not even have room wait for the peer to read.
    while (broken_.ok() && queue_.has_control() && absl::Now() < deadline) {
      written_.WaitWithDeadline(&mu_, deadline);
    }
    --waiters_;
    if (broken_.ok() && queue_.has_control()) {
      return absl::DeadlineExceededError(
          absl::StrCat("write ", write_path_, ": the peer does not read"));
    }
    position = writer_->end();
    if (mark) renewals = ++renewals_asked_;  // written after the frames, in the same go
  }
  if (absl::Status s = Flush(); !s.ok()) return s;
  return WaitWritten(position, renewals, deadline - absl::Now());
}

absl::Status SessionLink::FlushAndWait(absl::Duration timeout) {
  return FlushAndWait(timeout, /*mark=*/false);
}

absl::Status SessionLink::FlushMarkedAndWait(absl::Duration timeout) {
  return FlushAndWait(timeout, /*mark=*/!bells_trusted());
}

absl::Status SessionLink::Renew(log::WriterState state) {
  {
    absl::MutexLock lock(&mu_);
    // Closed is final.
    if (state_ != log::WriterState::kClosed) state_ = state;
    ++renewals_asked_;
  }
  return Flush();
}

absl::Status SessionLink::RenewAndWait(log::WriterState state, absl::Duration timeout) {
  uint64_t renewals;
  {
    absl::MutexLock lock(&mu_);
    if (state_ != log::WriterState::kClosed) state_ = state;
    renewals = ++renewals_asked_;
  }
  if (absl::Status s = Flush(); !s.ok()) return s;
  return WaitWritten(0, renewals, timeout);
}

spool::OwnLease SessionLink::own_lease() const {
  absl::MutexLock lock(&mu_);
  return own_lease_;
}

void SessionLink::OnLeaseUnwatched(os::Nanos now) {
  absl::MutexLock lock(&mu_);
  own_lease_.OnUnwatched(now);
}

void SessionLink::RestartLease() {
  {
    absl::MutexLock lock(&mu_);
    own_lease_.Restart();
    ++renewals_asked_;
  }
  Flush().IgnoreError();  // whoever sends next meets the error
}

bool SessionLink::SuspendRenewals() {
  absl::MutexLock lock(&mu_);
  renewals_suspended_ = true;
  return !renewing_;
}

void SessionLink::ResumeRenewals() {
  {
    absl::MutexLock lock(&mu_);
    renewals_suspended_ = false;
    if (renewals_done_ >= renewals_asked_) return;
  }
  Flush().IgnoreError();
}

bool SessionLink::Housekeep(os::Nanos now) {
  bool something = false;
  if (bulk_out_ != nullptr) {
    bulk_out_->Housekeep(now);
    something = bulk_out_->count().buffers > 0;
  }
  if (bulk_in_ != nullptr) {
    bulk_in_->Housekeep(now);
    something = something || bulk_in_->mapped() > 0;
  }
  absl::MutexLock lock(&mu_);
  return writing_ || writer_->UnmapIfIdle() || something;
}

absl::StatusOr<log::LogHead> SessionLink::ReadHeadAnew(log::AlignedBuffer* buffer) {
  if (absl::Status s = reader_->Reopen(); !s.ok()) return s;
  return reader_->ReadHeadNow(buffer);
}

absl::Status SessionLink::status() const {
  absl::MutexLock lock(&mu_);
  return broken_;
}

bool SessionLink::backlogged() const {
  absl::MutexLock lock(&mu_);
  return !queue_.empty();
}

bool SessionLink::own_bell_trusted() const {
  return own_bell_ != nullptr && own_bell_->echoed(own_slot_);
}

bool SessionLink::bells_trusted() const { return peer_bell_ != nullptr && own_bell_trusted(); }

os::Nanos SessionLink::next_head_reading() const {
  if (read_head_next_) return 0;
  return observer_.watching() ? observer_.next_reading() : os::kNever;
}

}  // namespace spoolrpc::link
