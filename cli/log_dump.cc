// Dumps logs and leases (docs/format.md, sections 3 and 4): the head, and every frame that the ring
// still holds.

#include <string.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "cli/file_dumps.h"
#include "cli/frame_text.h"
#include "cli/ring_scan.h"
#include "cli/text.h"
#include "spoolrpc/log/log_head.h"

namespace spoolrpc::cli {
namespace {

using log::kHeadSize;

// A log that is written while it is read may look damaged, and whole the next time.
constexpr int kReadings = 3;
constexpr size_t kMaxPayloadShown = log::kMaxFrameLength;

// The head as far as it can be told, from the bytes and from the path.
struct Head {
  log::LogHead fields;
  // The runtime's decoder has accepted it.
  bool whole = false;
  uint64_t capacity = 0;  // as it is, or as the file's size has it; 0: there is no ring
};

template <class T>
T Load(absl::string_view bytes, size_t offset) {
  T value = 0;
  if (offset + sizeof(value) <= bytes.size()) memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

std::string DirectionName(log::Direction direction) {
  switch (direction) {
    case log::Direction::kRequests:
      return "request log";
    case log::Direction::kResponses:
      return "response log";
    case log::Direction::kLease:
      return "lease";
  }
  return absl::StrCat("log of unknown direction ", static_cast<int>(direction));
}

std::string StateName(log::WriterState state) {
  switch (state) {
    case log::WriterState::kOpen:
      return "open";
    case log::WriterState::kDraining:
      return "draining";
    case log::WriterState::kClosed:
      return "closed";
  }
  return absl::StrCat("state ", static_cast<int>(state));
}

bool Plausible(uint64_t capacity) {
  return capacity >= log::kMinCapacity && capacity <= log::kMaxCapacity &&
         capacity % kHeadSize == 0;
}

// Of a head that the runtime refuses: what its fields say, and what the path and the size do.
Head Salvage(absl::string_view bytes, uint64_t file_size, const PathHint& hint) {
  Head head;
  // The path is not what was damaged.
  const uint8_t direction = Load<uint8_t>(bytes, 10);
  const bool by_path = hint.kind == PathHint::Kind::kLog || direction > 2;
  head.fields.direction = by_path ? hint.direction : static_cast<log::Direction>(direction);
  head.fields.state = static_cast<log::WriterState>(Load<uint8_t>(bytes, 11));
  if (bytes.size() >= 32) head.fields.id = std::string(bytes.substr(16, 16));
  head.fields.capacity = Load<uint64_t>(bytes, 32);
  head.fields.counter = Load<uint64_t>(bytes, 40);
  head.fields.flushed = Load<uint64_t>(bytes, 48);
  head.fields.term_ns = Load<uint64_t>(bytes, 56);
  // A log has its full size from the first; only of a truncated one the field may know more.
  const uint64_t by_size = file_size > kHeadSize ? file_size - kHeadSize : 0;
  if (Plausible(by_size)) {
    head.capacity = by_size;
  } else if (Plausible(head.fields.capacity)) {
    head.capacity = head.fields.capacity;
  } else {
    head.capacity = std::min(by_size / kHeadSize * kHeadSize, log::kMaxCapacity);
  }
  return head;
}

void ReportHead(absl::string_view bytes, const Head& head, const absl::Status& refused,
                const PathHint& hint, uint64_t file_size, Report* report) {
  const log::LogHead& fields = head.fields;
  const int before = report->problems();
  CheckMagic(bytes, kLogMagic, report);
  if (bytes.size() < log::kEncodedHeadSize) {
    report->ProblemAt(bytes.size(),
                      absl::StrCat("truncated: the fields of a head have ", log::kEncodedHeadSize,
                                   " bytes, the file has ", file_size));
  } else {
    const uint64_t found = Load<uint64_t>(bytes, 64);
    const uint64_t expected = XXH3_64bits(bytes.data(), 64);
    if (found != expected) {
      report->ProblemAt(64, absl::StrFormat("wrong checksum of the head: found 0x%016x, expected "
                                            "0x%016x",
                                            found, expected));
    }
    if (const uint16_t version = Load<uint16_t>(bytes, 8); version != log::kFormatVersion) {
      report->ProblemAt(8, absl::StrCat("format version ", version, ", this software knows ",
                                        log::kFormatVersion));
    }
  }
  // Whatever else the runtime's decoder refuses.
  if (!refused.ok() && report->problems() == before) report->ProblemAt(0, refused.message());
  if (refused.ok()) {
    if (hint.kind == PathHint::Kind::kLog && hint.direction != fields.direction) {
      report->ProblemAt(10, absl::StrCat("the head of a ", DirectionName(fields.direction),
                                         ", where a ", DirectionName(hint.direction), " belongs"));
    }
    if (!hint.id.empty() && hint.id != fields.id) {
      report->ProblemAt(16, absl::StrCat("the head of ", absl::BytesToHexString(fields.id),
                                         ", under the name of ", absl::BytesToHexString(hint.id)));
    }
    const uint64_t whole = fields.direction == log::Direction::kLease ? log::kLeaseFileSize
                                                                      : kHeadSize + fields.capacity;
    if (file_size < whole) {
      report->ProblemAt(
          file_size, absl::StrCat("truncated: the file has ", file_size, " of ", whole, " bytes"));
    }
  } else {
    report->Detail("what the head says all the same, unverified:");
  }
  report->Detail(absl::StrCat("id ", absl::BytesToHexString(fields.id)));
  report->Detail(absl::StrFormat(
      "state %s, counter %d, %s %d, term %s", StateName(fields.state), fields.counter,
      fields.direction == log::Direction::kLease ? "calls served" : "flushed", fields.flushed,
      absl::FormatDuration(
          absl::Nanoseconds(static_cast<int64_t>(std::min<uint64_t>(fields.term_ns, INT64_MAX))))));
  if (fields.direction != log::Direction::kLease) {
    report->Detail(absl::StrCat("capacity ", fields.capacity,
                                head.capacity == fields.capacity
                                    ? ""
                                    : absl::StrCat("; by the file's size ", head.capacity)));
  }
}

// Counts, and sees what is wrong between frames; prints what is within the limits.
class FramePrinter final : public RingVisitor {
 public:
  // Prints the frames after the first `skip`.
  FramePrinter(const Head& head, const DumpOptions& options, uint64_t skip, Report* report)
      : head_(head),
        options_(options),
        skip_(skip),
        report_(report),
        payloads_(head.fields.direction) {}

  void OnFrame(const log::Frame& frame, size_t length) override {
    if (frames_++ == 0) {
      first_ = frame.sequence;
      if (frame.sequence != 1) payloads_.OnMissing();
    } else if (frame.sequence != last_ + 1) {
      if (gap_) {
        report_->Detail(
            absl::StrCat("  (sequence goes on with ", frame.sequence, " after ", last_, ")"));
      } else {
        report_->ProblemAt(OffsetOf(frame.position),
                           absl::StrCat("sequence ", frame.sequence, " after ", last_));
      }
    }
    if (frames_ > 1 && frame.consumed < consumed_) {
      report_->ProblemAt(OffsetOf(frame.position),
                         absl::StrCat("consumed falls from ", consumed_, " to ", frame.consumed));
    }
    gap_ = false;
    last_ = frame.sequence;
    consumed_ = frame.consumed;
    std::string wrong;
    const std::string payload = payloads_.Describe(frame, &wrong);
    if (frames_ > skip_ && report_->details()) Print(frame, length, payload);
    if (!wrong.empty()) report_->ProblemAt(OffsetOf(frame.position), wrong);
  }

  void OnGap(uint64_t begin, uint64_t end, Gap gap, const std::string& reason) override {
    const std::string range =
        absl::StrCat("positions ", begin, " to ", end, " (", Plural(end - begin, "byte"), "): ");
    if (gap == Gap::kOverwritten) {
      if (skip_ == 0) report_->Detail(absl::StrCat(range, reason));
    } else {
      const bool flushed = head_.whole && begin < head_.fields.flushed;
      report_->ProblemAt(
          OffsetOf(begin),
          absl::StrCat(range, "no valid frame",
                       flushed ? ", though the writer has flushed it: " : ": ", reason));
    }
    gap_ = true;
    payloads_.OnMissing();
  }

  uint64_t frames() const { return frames_; }
  uint64_t first() const { return first_; }
  uint64_t last() const { return last_; }

 private:
  uint64_t OffsetOf(uint64_t position) const { return kHeadSize + position % head_.capacity; }

  void Print(const log::Frame& frame, size_t length, const std::string& payload) {
    if (!titled_) {
      titled_ = true;
      report_->Detail("    position    sequence  type        call    consumed  length  contents");
    }
    const std::string flags = FrameFlags(frame.flags);
    report_->Detail(absl::StrFormat("%12d %11d  %-8s %7d %11d %7d  %s%s%s", frame.position,
                                    frame.sequence, FrameTypeName(frame.type), frame.call,
                                    frame.consumed, length, flags,
                                    flags.empty() || payload.empty() ? "" : " ", payload));
    if (options_.payloads && !frame.payload.empty()) {
      report_->DetailBlock(HexDump(frame.payload, kMaxPayloadShown, "        "));
    }
  }

  const Head& head_;
  const DumpOptions& options_;
  const uint64_t skip_;
  Report* const report_;
  PayloadText payloads_;
  bool titled_ = false;
  bool gap_ = false;
  uint64_t frames_ = 0;
  uint64_t first_ = 0;
  uint64_t last_ = 0;
  uint64_t consumed_ = 0;
};

// The ids and directions under which the ring may have been written: the head's, or if it is
// damaged, what it may have been.
std::vector<RingShape> Shapes(const Head& head, const PathHint& hint) {
  RingShape shape;
  shape.id = head.fields.id;
  shape.direction = head.fields.direction;
  shape.capacity = head.capacity;
  if (head.whole) {
    shape.flushed = head.fields.flushed;
    return {shape};
  }
  std::vector<RingShape> shapes;
  for (const std::string& id : {hint.id, head.fields.id}) {
    if (id.size() != 16) continue;
    for (const log::Direction direction : {log::Direction::kRequests, log::Direction::kResponses}) {
      shape.id = id;
      shape.direction = direction;
      shapes.push_back(shape);
    }
  }
  return shapes;
}

// A scan that has found frames, or the last one that has not; null if there is nothing to go by.
std::unique_ptr<RingScan> FindFrames(ByteSource* source, const Head& head, const PathHint& hint,
                                     const DumpOptions& options, bool* found) {
  std::unique_ptr<RingScan> scan;
  *found = false;
  const std::vector<RingShape> shapes = Shapes(head, hint);
  // All of them a little, before one of them much.
  for (const uint64_t budget : {options.search_budget / 64, options.search_budget}) {
    for (const RingShape& shape : shapes) {
      scan = std::make_unique<RingScan>(source, shape, budget / shapes.size());
      *found = scan->Find();
      if (*found) return scan;
    }
  }
  return scan;
}

// How many frames there are, and how many problems, without printing any.
struct Count {
  uint64_t frames = 0;
  uint64_t first = 0;
  uint64_t last = 0;
  int problems = 0;
};

Count CountFrames(const Head& head, RingScan* scan, const DumpOptions& options) {
  std::ostringstream nowhere;
  Report silent(&nowhere, Depth::kNothing, "");
  FramePrinter counter(head, options, 0, &silent);
  scan->Walk(&counter);
  return {counter.frames(), counter.first(), counter.last(), silent.problems()};
}

void ReportEmptyRing(const Head& head, RingScan* scan, Report* report) {
  const bool written = head.whole && head.fields.flushed > 0;
  const uint64_t nonzero = scan == nullptr ? 0 : scan->CountNonzero(head.capacity);
  if (scan == nullptr) {
    report->Detail("no ring");
  } else if (nonzero == 0 && !written) {
    report->Detail("no frames yet");
  } else if (nonzero == 0) {
    report->ProblemAt(kHeadSize, absl::StrCat("the ring holds only zeros, though the writer has "
                                              "flushed up to position ",
                                              head.fields.flushed));
  } else {
    report->ProblemAt(
        kHeadSize,
        absl::StrCat("no valid frame in the ring, ", Plural(nonzero, "byte"),
                     " of which are not zero; ", Plural(scan->lookalikes(), "place"),
                     " look like frames of another session's log, or damaged ones; at its "
                     "beginning: ",
                     scan->Diagnose(0, 0)));
  }
}

}  // namespace

void DumpLog(ByteSource* source, const PathHint& hint, const DumpOptions& options, Report* report) {
  std::string bytes;
  Head head;
  absl::Status refused;
  std::unique_ptr<RingScan> scan;
  bool found = false;
  Count count;
  for (int reading = 0; reading < kReadings; ++reading) {
    if (reading > 0 && !source->Reload()) break;
    bytes = std::string(source->At(0, kHeadSize));
    const auto decoded = log::DecodeHead(bytes);
    refused = decoded.status();
    if (decoded.ok()) {
      head = {*decoded, true, decoded->capacity};
    } else {
      head = Salvage(bytes, source->size(), hint);
    }
    scan.reset();
    found = false;
    count = {};
    if (head.fields.direction == log::Direction::kLease) head.capacity = 0;
    if (head.capacity > 0) scan = FindFrames(source, head, hint, options, &found);
    if (found) count = CountFrames(head, scan.get(), options);
    if (refused.ok() && count.problems == 0) break;
  }

  const bool lease = head.fields.direction == log::Direction::kLease;
  report->Headline(absl::StrCat(
      DirectionName(head.fields.direction), ", ", StateName(head.fields.state), ", ",
      lease    ? absl::StrCat(Plural(head.fields.flushed, "call"), " served")
      : !found ? absl::StrCat("ring of ", FormatSize(head.capacity), ", no frames")
               : absl::StrCat("ring of ", FormatSize(head.capacity), ", ",
                              Plural(count.frames, "frame"), " (sequence ", count.first, " to ",
                              count.last, "), written up to position ", scan->end())));
  ReportHead(bytes, head, refused, hint, source->size(), report);
  if (lease) return;
  if (!found) {
    ReportEmptyRing(head, scan.get(), report);
    return;
  }
  const uint64_t skip = count.frames - std::min(count.frames, options.frames);
  if (skip > 0) report->Detail(absl::StrCat(Plural(skip, "older frame"), " not shown"));
  FramePrinter printer(head, options, skip, report);
  scan->Walk(&printer);
  const uint64_t next = scan->end();
  if (!head.whole || head.fields.flushed <= next) {
    report->Detail(scan->LooksLikeFrame(next, count.last + 1)
                       ? absl::StrCat("position ", next, ": the next frame, not valid (yet): ",
                                      scan->Diagnose(next, count.last + 1))
                       : absl::StrCat("position ", next, ": nothing yet"));
  }
}

}  // namespace spoolrpc::cli
