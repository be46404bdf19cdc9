#include "cli/ring_scan.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/text.h"

namespace spoolrpc::cli {
namespace {

using log::kFrameAlignment;
using log::kFrameHeaderSize;
using log::kHeadSize;

// Candidates for the anchor, at most.
constexpr size_t kMaxCandidates = 4096;
// A single candidate may use this part of the budget.
constexpr uint64_t kBudgetShare = 8;
// What it costs to try the shortest frame, in bytes of a long one.
constexpr uint64_t kLeastCost = 64;

// No writer ever gets so far.
constexpr uint64_t kHighestPosition = uint64_t{1} << 62;

// The fields of a header that tell whether it could be one.
struct Header {
  uint32_t length;
  uint8_t type;
  uint16_t zero;
  uint64_t checksum;
  uint64_t sequence;
};

Header ParseHeader(const char* bytes) {
  Header header;
  memcpy(&header.length, bytes, 4);
  memcpy(&header.type, bytes + 4, 1);
  memcpy(&header.zero, bytes + 6, 2);
  memcpy(&header.checksum, bytes + 8, 8);
  memcpy(&header.sequence, bytes + 16, 8);
  return header;
}

size_t CheckedLength(const Header& header) {
  return header.type == static_cast<uint8_t>(log::FrameType::kPad) ? kFrameHeaderSize
                                                                   : header.length;
}

bool AllZero(absl::string_view bytes) {
  return bytes.find_first_not_of('\0') == absl::string_view::npos;
}

}  // namespace

RingScan::RingScan(ByteSource* source, RingShape shape, uint64_t budget)
    : source_(source),
      shape_(std::move(shape)),
      key_(shape_.id, shape_.direction),
      max_length_(log::MaxFrameLength(shape_.capacity)),
      budget_(budget) {}

uint64_t RingScan::FileOffset(uint64_t position) const {
  return kHeadSize + position % shape_.capacity;
}

uint64_t RingScan::NextFrameAt(uint64_t end) const {
  const uint64_t room = shape_.capacity - end % shape_.capacity;
  return room < kFrameHeaderSize ? end + room : end;
}

bool RingScan::DecodeAt(uint64_t position, log::Frame* frame, size_t* length) {
  const uint64_t room = shape_.capacity - position % shape_.capacity;
  if (room < kFrameHeaderSize) return false;
  absl::string_view bytes = source_->At(FileOffset(position), kFrameHeaderSize);
  if (bytes.size() < kFrameHeaderSize) return false;
  const Header header = ParseHeader(bytes.data());
  if (header.length < kFrameHeaderSize || header.length > max_length_ || header.length > room ||
      header.zero != 0) {
    return false;
  }
  bytes = source_->At(FileOffset(position), CheckedLength(header));
  return log::DecodeFrame(key_, bytes.data(), bytes.size(), room, max_length_, position,
                          header.sequence, frame, length) == log::DecodeResult::kValid;
}

std::optional<uint64_t> RingScan::FindNext(uint64_t position, uint64_t limit) {
  log::Frame frame;
  size_t length = 0;
  position = log::AlignFrame(position);
  while (position < limit) {
    // Zeros are what there is most of.
    const uint64_t left = shape_.capacity - position % shape_.capacity;
    const absl::string_view bytes =
        source_->At(FileOffset(position), std::min<uint64_t>({left, limit - position, 4096}));
    if (bytes.empty() || AllZero(bytes)) {
      // Beyond the end of the file, or after an error, nothing follows in this lap.
      position += bytes.empty() ? left : log::AlignFrame(bytes.size());
      continue;
    }
    const uint64_t end = position + bytes.size();
    for (; position < end; position += kFrameAlignment) {
      if (DecodeAt(position, &frame, &length)) return position;
    }
  }
  return std::nullopt;
}

std::vector<RingScan::Candidate> RingScan::Candidates(bool hop) {
  std::vector<Candidate> candidates;
  const uint64_t capacity = shape_.capacity;
  for (uint64_t offset = 0; offset + kFrameHeaderSize <= capacity;) {
    const absl::string_view bytes =
        source_->At(kHeadSize + offset, std::min<uint64_t>(capacity - offset, 65536));
    if (bytes.size() < kFrameHeaderSize) break;
    if (AllZero(bytes)) {
      offset +=
          std::max<uint64_t>(bytes.size() / kFrameAlignment * kFrameAlignment, kFrameAlignment);
      continue;
    }
    size_t at = 0;
    while (at + kFrameHeaderSize <= bytes.size()) {
      const Header header = ParseHeader(bytes.data() + at);
      if (header.length < kFrameHeaderSize || header.length > max_length_ ||
          header.length > capacity - offset - at || header.zero != 0 || header.sequence == 0) {
        at += kFrameAlignment;
        continue;
      }
      ++lookalikes_;
      if (candidates.size() < kMaxCandidates) {
        // `before` frames lie before it, each of 40 to max_length_ bytes, and in each lap up to 39
        // bytes at the ring's end.
        const uint64_t before = header.sequence - 1;
        const absl::uint128 least = absl::uint128(before) * kFrameHeaderSize;
        const absl::uint128 most = absl::uint128(before) * max_length_;
        const absl::uint128 first = least > offset + at ? (least - offset - at) / capacity : 0;
        const absl::uint128 last = most / (capacity - kFrameHeaderSize) + 1;
        const absl::uint128 highest = kHighestPosition / capacity;
        if (first <= highest) {
          candidates.push_back({offset + at, CheckedLength(header), absl::Uint128Low64(first),
                                absl::Uint128Low64(std::min(last, highest))});
        }
      }
      at += hop ? log::AlignFrame(header.length) : kFrameAlignment;
    }
    offset += std::max<size_t>(at, kFrameAlignment);
  }
  return candidates;
}

std::optional<uint64_t> RingScan::Try(const Candidate& candidate, uint64_t limit) {
  const absl::string_view bytes = source_->At(kHeadSize + candidate.offset, candidate.checked);
  if (bytes.size() < candidate.checked) return std::nullopt;
  const Header header = ParseHeader(bytes.data());
  const uint64_t cost = std::max<uint64_t>(candidate.checked, kLeastCost);
  limit = std::min(limit, left_);
  const auto try_laps = [&](uint64_t first, uint64_t last) -> std::optional<uint64_t> {
    for (uint64_t lap = first; lap <= last && limit >= cost; ++lap) {
      limit -= cost;
      left_ -= cost;
      const uint64_t position = lap * shape_.capacity + candidate.offset;
      if (key_.Checksum(bytes.data(), candidate.checked, position) == header.checksum) {
        return position;
      }
      if (lap == last) break;  // which may be the highest there is
    }
    return std::nullopt;
  };
  // The head is rewritten now and then: the writer has gone on from what it says.
  const uint64_t hint = shape_.flushed.value_or(0) / shape_.capacity;
  const uint64_t from = std::max(candidate.first_lap, hint > 0 ? hint - 1 : 0);
  if (from <= candidate.last_lap) {
    if (const auto found = try_laps(from, candidate.last_lap)) return found;
    if (from == candidate.first_lap) return std::nullopt;
  }
  return try_laps(candidate.first_lap, std::min(candidate.last_lap, from - 1));
}

std::optional<uint64_t> RingScan::FindAnchor(bool hop) {
  lookalikes_ = 0;
  std::vector<Candidate> candidates = Candidates(hop);
  left_ = budget_ / 2;
  // The cheapest first: short frames of few possible laps.
  const auto cost = [](const Candidate& c) {
    return absl::uint128(c.last_lap - c.first_lap) * c.checked + c.checked;
  };
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const Candidate& a, const Candidate& b) { return cost(a) < cost(b); });
  const uint64_t share = left_ / kBudgetShare;
  log::Frame frame;
  size_t length = 0;
  for (const Candidate& candidate : candidates) {
    const std::optional<uint64_t> anchor = Try(candidate, share);
    if (anchor.has_value() && DecodeAt(*anchor, &frame, &length)) return anchor;
  }
  return std::nullopt;
}

bool RingScan::Find() {
  // From frame to frame first; a damaged length may lead past the frames that are whole.
  std::optional<uint64_t> anchor = FindAnchor(/*hop=*/true);
  if (!anchor.has_value()) anchor = FindAnchor(/*hop=*/false);
  if (!anchor.has_value()) return false;
  anchor_ = *anchor;
  log::Frame frame;
  size_t length = 0;
  // What is newer lies between the anchor and one lap on, or it would have overwritten the anchor.
  const uint64_t limit = anchor_ + shape_.capacity;
  for (std::optional<uint64_t> at = anchor_; at.has_value();) {
    if (DecodeAt(*at, &frame, &length)) {
      end_ = log::AlignFrame(*at + length);
      at = NextFrameAt(end_);
      if (*at >= limit) break;
    } else {
      at = FindNext(*at, limit);
    }
  }
  return true;
}

void RingScan::Walk(RingVisitor* visitor) {
  log::Frame frame;
  size_t length = 0;
  uint64_t at = end_ > shape_.capacity ? end_ - shape_.capacity : 0;
  const bool from_start = at == 0;
  bool any = false;
  while (at < end_) {
    if (DecodeAt(at, &frame, &length)) {
      any = true;
      visitor->OnFrame(frame, length);
      at = NextFrameAt(log::AlignFrame(at + length));
      continue;
    }
    const uint64_t next = FindNext(at, end_).value_or(end_);
    const bool damaged = any || from_start;
    visitor->OnGap(at, next, damaged ? RingVisitor::Gap::kDamaged : RingVisitor::Gap::kOverwritten,
                   damaged ? Diagnose(at, 0) : "partly overwritten by newer frames");
    at = next;
  }
  if (shape_.flushed.has_value() && *shape_.flushed > NextFrameAt(end_)) {
    visitor->OnGap(NextFrameAt(end_), *shape_.flushed, RingVisitor::Gap::kDamaged,
                   Diagnose(NextFrameAt(end_), 0));
  }
}

bool RingScan::LooksLikeFrame(uint64_t position, uint64_t sequence) {
  const uint64_t room = shape_.capacity - position % shape_.capacity;
  const absl::string_view bytes = source_->At(FileOffset(position), kFrameHeaderSize);
  if (room < kFrameHeaderSize || bytes.size() < kFrameHeaderSize) return false;
  const Header header = ParseHeader(bytes.data());
  return header.sequence == sequence && header.length >= kFrameHeaderSize &&
         header.length <= std::min<uint64_t>(max_length_, room);
}

std::string RingScan::Diagnose(uint64_t position, uint64_t sequence) {
  const uint64_t room = shape_.capacity - position % shape_.capacity;
  if (room < kFrameHeaderSize) return "less than a header before the ring's end";
  const absl::string_view bytes = source_->At(FileOffset(position), kFrameHeaderSize);
  if (bytes.size() < kFrameHeaderSize) {
    if (!source_->error().ok()) return std::string(source_->error().message());
    return absl::StrCat("truncated: the file ends ", Plural(bytes.size(), "byte"),
                        " after the place of the header");
  }
  if (AllZero(bytes)) return "only zeros there";
  const Header header = ParseHeader(bytes.data());
  const uint64_t most = std::min<uint64_t>(max_length_, room);
  if (header.length < kFrameHeaderSize || header.length > most) {
    return absl::StrCat("length ", header.length, ", which is not from ", kFrameHeaderSize, " to ",
                        most);
  }
  if (header.zero != 0) return absl::StrFormat("bytes 6 and 7 are 0x%04x, not 0", header.zero);
  if (sequence != 0 && header.sequence != sequence) {
    return absl::StrCat("sequence ", header.sequence, ", expected ", sequence);
  }
  const size_t checked = CheckedLength(header);
  const absl::string_view whole = source_->At(FileOffset(position), checked);
  if (whole.size() < checked) {
    return absl::StrCat("truncated: the file ends after ", Plural(whole.size(), "byte"),
                        " of a "
                        "frame of ",
                        checked);
  }
  const uint64_t expected = key_.Checksum(whole.data(), checked, position);
  return absl::StrFormat(
      "wrong checksum: found 0x%016x, expected 0x%016x of a frame of %d bytes "
      "with sequence %d",
      header.checksum, expected, header.length, header.sequence);
}

uint64_t RingScan::CountNonzero(uint64_t enough) {
  uint64_t count = 0;
  for (uint64_t offset = 0; offset < shape_.capacity && count < enough;) {
    const absl::string_view bytes =
        source_->At(kHeadSize + offset, std::min<uint64_t>(shape_.capacity - offset, 65536));
    if (bytes.empty()) break;
    count += bytes.size() - std::count(bytes.begin(), bytes.end(), '\0');
    offset += bytes.size();
  }
  return count;
}

}  // namespace spoolrpc::cli
