// Reading the peer's log, and judging by its head whether it is alive.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "spoolrpc/link/session_link.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::link {
namespace {

// What a look reads when nothing tells how much there is, in bytes.
constexpr size_t kUsualRead = 4096;

}  // namespace

bool SessionLink::MayHaveNews() const {
  return !own_bell_trusted() || own_bell_->published(own_slot_) > reader_->position();
}

absl::Status SessionLink::TakeFrames(PollResult* result,
                                     absl::FunctionRef<absl::Status(const log::Frame&)> on_frame) {
  log::Frame frame;
  uint64_t writer_end = 0;
  bool have_end = false;
  while (reader_->Next(&frame) == log::LogReader::Outcome::kFrame) {
    ++result->frames;
    if (frame.consumed != peer_consumed_) {
      if (!have_end || frame.consumed > writer_end) {
        absl::MutexLock lock(&mu_);
        writer_end = writer_->end();
        have_end = true;
      }
      if (frame.consumed < peer_consumed_ || frame.consumed > writer_end) {
        result->end = PollResult::End::kCorrupt;
        return absl::DataLossError(
            absl::StrCat("read ", reader_->path(), ": the frame at position ", frame.position,
                         " claims to have consumed up to ", frame.consumed,
                         ", which is not between ", peer_consumed_, " and ", writer_end));
      }
      peer_consumed_ = frame.consumed;
    }
    consumed_.store(reader_->position(), std::memory_order_relaxed);
    if (frame.type == log::FrameType::kConsumed) continue;
    if (frame.type == log::FrameType::kRelease) {
      const auto release = DecodeBulkRelease(frame.payload);
      if (release.has_value() && bulk_out_ != nullptr) bulk_out_->OnReleased(*release);
      continue;
    }
    if (absl::Status s = on_frame(frame); !s.ok()) {
      result->end = PollResult::End::kFailed;
      return s;
    }
  }
  return absl::OkStatus();
}

void SessionLink::AfterFrames(uint64_t peer_consumed) {
  bool flush = false;
  {
    absl::MutexLock lock(&mu_);
    const uint64_t before = writer_->end();
    writer_->OnConsumed(peer_consumed);
    const uint64_t consumed = consumed_.load(std::memory_order_relaxed);
    if (!queue_.empty()) {
      queue_.Pump(writer_.get(), consumed);
      NoteWaiting();
    }
    if (writer_->end() != before) {
      consumed_told_ = consumed;
    } else if (consumed - consumed_told_ >= reader_->capacity() / 4) {
      queue_.AddControl(log::FrameType::kConsumed, 0, 0, "");
      queue_.Pump(writer_.get(), consumed);
      NoteWaiting();
      consumed_told_ = consumed;
    }
    flush = writer_->has_batch() && writer_->end() != before;
  }
  if (flush) Flush().IgnoreError();  // whoever sends next meets the error
}

bool SessionLink::ReadPeerHead(log::AlignedBuffer* buffer, uint64_t* flushed, bool* closed) {
  // (Before the rest: of a watch that begins just now the next look learns.)
  if (const uint64_t watches = watches_.load(std::memory_order_acquire); watches != watched_) {
    watched_ = watches;
    observer_.Stop();
  }
  bool watch = watch_peer_.load(std::memory_order_acquire);
  os::Nanos now = 0;
  if (watch && !observer_.watching()) {
    absl::MutexLock lock(&mu_);
    watch = written_to_ >= watch_from_.load(std::memory_order_relaxed);
  }
  if (watch != observer_.watching()) {
    now = env_.clock->Now();
    if (watch) {
      observer_.Start(now);
    } else {
      observer_.Stop();
    }
  }
  if (!read_head_next_) {
    if (!watch) return false;
    if (now == 0) now = env_.clock->Now();
    if (now < observer_.next_reading()) return false;
  }
  if (now == 0) now = env_.clock->Now();
  const os::Nanos planned =
      observer_.watching() ? std::max(observer_.next_reading(), os::Nanos{0}) : now;
  const auto head = reader_->ReadHeadNow(buffer);
  const os::Nanos ended = env_.clock->Now();
  if (absl::IsDataLoss(head.status())) {
    // Torn, or damaged: no news. A writer that lives writes it anew; if it stays so, the lease runs
    // out over it.
    if (observer_.watching()) observer_.OnReading(planned, now, ended, peer_counter_);
    return true;
  }
  if (!head.ok()) {
    if (os::IsStale(head.status())) reader_->Reopen().IgnoreError();
    observer_.OnFailedReading(ended);
    return false;
  }
  read_head_next_ = false;
  peer_counter_ = head->counter;
  if (observer_.watching()) observer_.OnReading(planned, now, ended, head->counter);
  *flushed = head->flushed;
  *closed = head->state == log::WriterState::kClosed;
  return true;
}

absl::Status SessionLink::TakeAll(bool trusted, log::AlignedBuffer* buffer, PollResult* result,
                                  absl::FunctionRef<absl::Status(const log::Frame&)> on_frame) {
  size_t need = 0;  // bytes that a frame which has begun is known to have
  for (bool first = true;; first = false) {
    size_t want = std::max(need, kUsualRead);
    if (trusted) {
      const uint64_t published = own_bell_->published(own_slot_);
      if (published > reader_->position()) {
        want = std::max<size_t>(
            need, std::min<uint64_t>(published - reader_->position(), buffer->size()));
      } else if (!first) {
        return absl::OkStatus();
      }
    }
    const uint64_t before = reader_->position();
    absl::Status status = reader_->Read(want, buffer);
    if (!status.ok() && os::IsStale(status)) {
      status = reader_->Reopen();
      if (status.ok()) status = reader_->Read(want, buffer);
    }
    if (!status.ok()) {
      result->end = PollResult::End::kFailed;
      return status;
    }
    if (absl::Status s = TakeFrames(result, on_frame); !s.ok()) return s;
    need = reader_->wanted();
    const bool progress = reader_->position() != before;
    // Read on if frames came and the reading ended before what is not there yet, or if a frame has
    // begun that is longer than the reading was.
    if (need == 0 || (!progress && need <= want)) return absl::OkStatus();
  }
}

bool SessionLink::ConfirmExpiry(log::AlignedBuffer* buffer, PollResult* result,
                                absl::FunctionRef<absl::Status(const log::Frame&)> on_frame) {
  if (!SuspendRenewals()) {
    ResumeRenewals();
    return false;  // decided at the next look
  }
  const auto head = ReadHeadAnew(buffer);
  if (head.ok() && head->counter == peer_counter_) {
    result->status = TakeAll(/*trusted=*/false, buffer, result, on_frame);
    if (result->end != PollResult::End::kNone) return false;
    if (result->frames == 0 && head->flushed > reader_->position()) {
      TakeUpTo(head->flushed, /*last=*/true, buffer, result, on_frame);
      if (result->end != PollResult::End::kNone) return false;
    }
    if (result->frames == 0) return true;
  } else if (!head.ok()) {
    result->end = PollResult::End::kFailed;
    result->status = head.status();
    return false;
  } else {
    peer_counter_ = head->counter;
  }
  observer_.OnLife(env_.clock->Now());
  ResumeRenewals();
  return false;
}

void SessionLink::TakeUpTo(uint64_t mark, bool last, log::AlignedBuffer* buffer, PollResult* result,
                           absl::FunctionRef<absl::Status(const log::Frame&)> on_frame) {
  const absl::Status checked = reader_->CheckAgainst(mark, buffer);
  if (absl::IsDataLoss(checked)) {
    result->end = PollResult::End::kCorrupt;
    result->status = checked;
  } else if (checked.ok()) {
    // Seen after reopening.
    result->status = TakeFrames(result, on_frame);
    AfterFrames(peer_consumed_);
  } else if (last) {
    // It cannot be opened any more (its writer has removed it, perhaps): what was flushed nobody
    // learns.
    result->end = PollResult::End::kFailed;
    result->status = checked;
  }
}

PollResult SessionLink::Poll(bool force, log::AlignedBuffer* buffer,
                             absl::FunctionRef<absl::Status(const log::Frame&)> on_frame) {
  PollResult result;
  uint64_t flushed = 0;
  bool closed = false;
  // The head before the log: what it says was flushed, or that the writer has closed, is judged by
  // a reading of the log that began later.
  const bool have_head = ReadPeerHead(buffer, &flushed, &closed);
  const bool trusted = own_bell_trusted();
  // (Nobody waits for what he has not rung for yet: that nothing was rung for is as good as a
  // reading that found nothing.)
  const os::Nanos now = env_.clock->Now();
  last_look_.store(now, std::memory_order_seq_cst);
  if (trusted && !force && !have_head && !MayHaveNews()) return result;
  last_reading_.store(now, std::memory_order_relaxed);
  result.status = TakeAll(trusted, buffer, &result, on_frame);
  if (result.frames > 0) {
    if (observer_.watching()) observer_.OnLife(env_.clock->Now());
    AfterFrames(peer_consumed_);
  }
  if (result.end != PollResult::End::kNone || !have_head) return result;
  if (result.frames == 0 && flushed > reader_->position()) {
    TakeUpTo(flushed, closed || observer_.expired(), buffer, &result, on_frame);
    return result;
  }
  if (closed && result.frames == 0) {
    result.end = PollResult::End::kPeerClosed;
    result.status = absl::UnavailableError(
        absl::StrCat("the writer of ", reader_->path(), " has closed the session"));
  } else if (observer_.expired() && result.frames == 0) {
    const os::Nanos silence = observer_.silence();
    if (ConfirmExpiry(buffer, &result, on_frame)) {
      result.end = PollResult::End::kLeaseExpired;
      result.status = absl::UnavailableError(
          absl::StrCat("the lease in ", reader_->path(), " has not moved for ",
                       absl::FormatDuration(absl::Nanoseconds(silence))));
    }
    if (result.frames > 0) AfterFrames(peer_consumed_);
  }
  return result;
}

PollResult SessionLink::PollToEnd(log::AlignedBuffer* buffer,
                                  absl::FunctionRef<absl::Status(const log::Frame&)> on_frame) {
  for (;;) {
    PollResult result = Poll(/*force=*/true, buffer, on_frame);
    if (result.end != PollResult::End::kNone) return result;
    if (result.frames > 0) continue;
    // (On one host the file that is open is the file, also when its name is gone.)
    const bool trusted = own_bell_trusted();
    const auto head = trusted ? reader_->ReadHeadNow(buffer) : ReadHeadAnew(buffer);
    if (!head.ok()) {
      result.end = PollResult::End::kFailed;
      // (Torn by the writer's death, as likely as damaged.)
      result.status = absl::UnavailableError(head.status().message());
      return result;
    }
    uint64_t mark = head->flushed;
    if (trusted) mark = std::max(mark, own_bell_->published(own_slot_));
    if (mark <= reader_->position()) return result;
    TakeUpTo(mark, /*last=*/true, buffer, &result, on_frame);
    if (result.end != PollResult::End::kNone) return result;
  }
}
}  // namespace spoolrpc::link
