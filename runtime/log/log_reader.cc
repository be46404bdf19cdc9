#include "spoolrpc/log/log_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::log {
namespace {

constexpr uint64_t kBlock = 4096;
constexpr int kReadingsBeforeCorrupt = 3;

absl::Status Refuse(const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat("open log ", path, ": ", why));
}

// Opens a file that another user may have made: what it is and whose is looked at first.
absl::StatusOr<std::unique_ptr<os::File>> OpenChecked(os::SystemCalls* calls,
                                                      const std::string& path, uint32_t owner,
                                                      const FileAccess& access, bool* direct,
                                                      uint64_t* size) {
  auto file = OpenLogForReading(calls, path, access, direct);
  if (!file.ok()) return file.status();
  const auto info = (*file)->Stat();
  if (!info.ok()) return info.status();
  if (info->type != os::FileInfo::Type::kFile) return Refuse(path, "not a regular file");
  if (info->links != 1) return Refuse(path, absl::StrCat("it has ", info->links, " links, not 1"));
  if (info->uid != owner) {
    return Refuse(path, absl::StrCat("it belongs to uid ", info->uid, ", not to uid ", owner));
  }
  *size = info->size;
  return file;
}

}  // namespace

LogReader::LogReader(os::SystemCalls* calls, std::string path, const LogHead& head, uint32_t owner,
                     const FileAccess& access)
    : calls_(calls),
      path_(std::move(path)),
      owner_(owner),
      access_(access),
      key_(head.id, head.direction),
      capacity_(head.capacity),
      max_length_(MaxFrameLength(head.capacity)) {}

absl::StatusOr<std::unique_ptr<LogReader>> LogReader::Open(
    os::SystemCalls* calls, const std::string& path, const std::string& id, Direction direction,
    uint32_t owner, const FileAccess& access, AlignedBuffer* buffer) {
  bool direct = false;
  uint64_t size = 0;
  auto file = OpenChecked(calls, path, owner, access, &direct, &size);
  if (!file.ok()) return file.status();
  auto head = ReadHead(**file, direct, buffer);
  // Its writer may be renewing its lease at this moment.
  for (int reading = 1; reading < kReadingsBeforeCorrupt && absl::IsDataLoss(head.status());
       ++reading) {
    head = ReadHead(**file, direct, buffer);
  }
  if (!head.ok()) return head.status();
  if (head->id != id) {
    return Refuse(path, absl::StrCat("it is of ", absl::BytesToHexString(head->id), ", not of ",
                                     absl::BytesToHexString(id)));
  }
  if (head->direction != direction) return Refuse(path, "it is of the other direction");
  if (size < kHeadSize + head->capacity) {
    return Refuse(
        path, absl::StrCat("it has ", size, " bytes, its head says ", kHeadSize + head->capacity));
  }
  auto reader = std::unique_ptr<LogReader>(new LogReader(calls, path, *head, owner, access));
  reader->Take(*std::move(file), direct);
  return reader;
}

void LogReader::Take(std::unique_ptr<os::File> file, bool direct) {
  bytes_ =
      std::make_unique<LogBytes>(std::move(file), kHeadSize + capacity_, LogBytes::Use::kReading);
  direct_ = direct;
  if (may_map_) AllowMapping();
}

void LogReader::AllowMapping() {
  may_map_ = true;
  if (!direct_) bytes_->AllowMapping();
}

uint64_t LogReader::NextFrameAt() const {
  const uint64_t room = capacity_ - position_ % capacity_;
  return room < kFrameHeaderSize ? position_ + room : position_;
}

absl::Status LogReader::Read(size_t want, AlignedBuffer* buffer) {
  if (capacity_ == 0) return Refuse(path_, "it is a lease, it has no ring");
  wanted_ = 0;
  const uint64_t at = NextFrameAt();
  const uint64_t room = capacity_ - at % capacity_;
  // The ring begins and ends at multiples of the block.
  const uint64_t begin = direct_ ? at / kBlock * kBlock : at;
  const auto bytes_for = [&](size_t length) {
    const uint64_t count = at - begin + std::min<uint64_t>(length, room);
    return direct_ ? (count + kBlock - 1) / kBlock * kBlock : count;
  };
  want = std::max(want, kFrameHeaderSize);
  if (const uint64_t least = bytes_for(std::min(want, max_length_)); least > buffer->size()) {
    return absl::InvalidArgumentError(absl::StrCat("read ", path_, ": a buffer of ", buffer->size(),
                                                   " bytes, this takes ", least));
  }
  read_ = buffer->data();
  read_begin_ = begin;
  read_end_ = begin;
  cut_short_ = true;
  const size_t count = std::min<uint64_t>(bytes_for(want), buffer->size());
  const auto got = bytes_->ReadAt(kHeadSize + begin % capacity_, buffer->data(), count);
  if (!got.ok()) return got.status();
  read_end_ = begin + *got;
  cut_short_ = *got < count;
  return absl::OkStatus();
}

DecodeResult LogReader::DecodeAt(uint64_t at, Frame* frame, size_t* length) const {
  return DecodeFrame(key_, read_ + (at - read_begin_), read_end_ - at, capacity_ - at % capacity_,
                     max_length_, at, sequence_, frame, length);
}

LogReader::Outcome LogReader::Next(Frame* frame) {
  if (capacity_ == 0) return Outcome::kNotYet;
  for (;;) {
    wanted_ = 0;
    const uint64_t at = NextFrameAt();
    if (at > read_end_) {
      // Past a PAD, a short end or a frame's padding: the next frame may well be there already.
      wanted_ = cut_short_ ? 0 : kBlock;
      return Outcome::kNotYet;
    }
    size_t length = 0;
    switch (DecodeAt(at, frame, &length)) {
      case DecodeResult::kNotValid:
        return Outcome::kNotYet;
      case DecodeResult::kShort:
        // Reading on helps only where the header already says that there is more; a reading that
        // ended exactly here (or at the ring's end) may have more behind it too.
        wanted_ = cut_short_ ? 0 : std::max(length, size_t{kBlock});
        return Outcome::kNotYet;
      case DecodeResult::kValid:
        position_ = at + AlignFrame(length);
        ++sequence_;
        if (frame->type == FrameType::kPad) continue;
        return Outcome::kFrame;
    }
  }
}

absl::StatusOr<LogHead> LogReader::ReadHeadNow(AlignedBuffer* buffer) const {
  return ReadHead(bytes_->file(), direct_, buffer);
}

absl::Status LogReader::Reopen() {
  bool direct = false;
  uint64_t size = 0;
  auto file = OpenChecked(calls_, path_, owner_, access_, &direct, &size);
  if (!file.ok()) return file.status();
  Take(*std::move(file), direct);
  return absl::OkStatus();
}

absl::Status LogReader::CheckAgainst(uint64_t flushed, AlignedBuffer* buffer) {
  if (capacity_ == 0) return absl::OkStatus();
  for (int reading = 0; reading < kReadingsBeforeCorrupt; ++reading) {
    if (position_ >= flushed) return absl::OkStatus();
    if (absl::Status opened = Reopen(); !opened.ok()) return opened;
    if (absl::Status read = Read(max_length_, buffer); !read.ok()) return read;
    Frame frame;
    size_t length;
    const uint64_t at = NextFrameAt();
    if (read_end_ > at && DecodeAt(at, &frame, &length) == DecodeResult::kValid) {
      return absl::OkStatus();
    }
  }
  const uint64_t at = NextFrameAt();
  return absl::DataLossError(absl::StrCat(
      "read ", path_, ": no valid frame at offset ", kHeadSize + at % capacity_, " (position ", at,
      ", sequence ", sequence_, "), though its writer has flushed up to position ", flushed, ": ",
      DescribeDamage()));
}

std::string LogReader::DescribeDamage() const {
  const uint64_t at = NextFrameAt();
  const uint64_t have = read_end_ > at ? read_end_ - at : 0;
  if (have < kFrameHeaderSize) return absl::StrCat("the file ends after ", have, " bytes there");
  const absl::string_view header(read_ + (at - read_begin_), kFrameHeaderSize);
  if (header.find_first_not_of('\0') == absl::string_view::npos) return "only zeros there";
  return absl::StrCat("wrong checksum, or another frame: ", absl::BytesToHexString(header));
}

}  // namespace spoolrpc::log
