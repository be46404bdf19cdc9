#include "spoolrpc/log/log_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::log {

LogWriter::LogWriter(std::unique_ptr<os::File> file, LogHead head, const FileAccess& access)
    : bytes_(std::move(file), kHeadSize + head.capacity, LogBytes::Use::kWriting),
      key_(head.id, head.direction),
      capacity_(head.capacity),
      max_length_(std::min(MaxFrameLength(head.capacity), access.max_write) / kFrameAlignment *
                  kFrameAlignment),
      max_write_(std::max(access.max_write, kFrameHeaderSize)),
      head_(std::move(head)) {}

bool LogWriter::HasRoom(size_t payload, bool control) const {
  if (capacity_ == 0 || payload > max_payload()) return false;
  const uint64_t length = AlignFrame(kFrameHeaderSize + payload);
  const uint64_t to_end = capacity_ - end_ % capacity_;
  // A frame that does not fit before the ring's end is moved to its start.
  const uint64_t skipped = length > to_end ? to_end : 0;
  const uint64_t free = capacity_ - (end_ - consumed_);
  return skipped + length + (control ? 0 : kControlReserve) <= free;
}

char* LogWriter::BeginFrame(size_t payload) {
  frame_length_ = kFrameHeaderSize + payload;
  const uint64_t length = AlignFrame(frame_length_);
  if (batch_.bytes.empty()) batch_.position = end_;
  const uint64_t to_end = capacity_ - end_ % capacity_;
  if (length > to_end) {
    const size_t at = batch_.bytes.size();
    batch_.bytes.append(to_end, '\0');
    if (to_end >= kFrameHeaderSize) {
      SealFrame(key_, FrameType::kPad, 0, end_, sequence_++, consumed_sent_, 0, to_end,
                &batch_.bytes[at]);
    }
    end_ += to_end;
  }
  frame_at_ = batch_.bytes.size();
  batch_.bytes.resize(frame_at_ + length);
  return &batch_.bytes[frame_at_ + kFrameHeaderSize];
}

void LogWriter::EndFrame(FrameType type, uint8_t flags, uint64_t call, uint64_t consumed) {
  consumed_sent_ = consumed;
  SealFrame(key_, type, flags, end_, sequence_++, consumed, call, frame_length_,
            &batch_.bytes[frame_at_]);
  end_ += AlignFrame(frame_length_);
}

void LogWriter::TakeBatch(Batch* batch) {
  batch->bytes.clear();
  std::swap(batch->bytes, batch_.bytes);
  batch->position = batch->bytes.empty() ? end_ : batch_.position;
}

void LogWriter::OnConsumed(uint64_t position) { consumed_ = std::max(consumed_, position); }

absl::Status LogWriter::Seal(absl::Status status) {
  if (!status.ok() && sealed_.ok()) sealed_ = os::Annotate(status, "log sealed after failed write");
  return status;
}

absl::Status LogWriter::Write(const Batch& batch) {
  if (!sealed_.ok()) return sealed_;
  absl::string_view bytes = batch.bytes;
  uint64_t position = batch.position;
  while (!bytes.empty()) {
    const uint64_t offset = position % capacity_;
    const size_t count = std::min<uint64_t>({bytes.size(), capacity_ - offset, max_write_});
    if (absl::Status status = bytes_.WriteAt(kHeadSize + offset, bytes.substr(0, count));
        !status.ok()) {
      return Seal(status);
    }
    bytes.remove_prefix(count);
    position += count;
    head_.flushed = position;
  }
  return absl::OkStatus();
}

absl::Status LogWriter::WriteHead(WriterState state) {
  if (!sealed_.ok()) return sealed_;
  LogHead head = head_;
  head.state = state;
  ++head.counter;
  absl::Status status = file().WriteAt(0, EncodeHead(head));
  // A lease has nothing but its counter: whether this one has arrived matters to nobody.
  if (!status.ok() && capacity_ > 0) return Seal(status);
  head_ = std::move(head);
  return status;
}

}  // namespace spoolrpc::log
