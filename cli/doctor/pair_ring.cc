// A ping-pong of small records over two rings, as calls travel: the floor of what a call costs. The
// first side asks, the second answers; each record says when it was read and written, from which
// the first side knows how far apart the clocks are.

#include <string.h>

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/doctor/figures.h"
#include "cli/doctor/pair_checks.h"
#include "xxhash.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr char kRing[] = "ring";
// 144 of them in a lap; some lie across two blocks.
constexpr size_t kRecordSize = 480;
constexpr uint64_t kRecordsInALap = kLiveFileSize / kRecordSize;
constexpr absl::Duration kBusyLooks = absl::Milliseconds(5);
constexpr absl::Duration kBetweenLooks = absl::Microseconds(200);

struct Record {
  uint64_t sequence;
  int64_t read_at;     // when its writer read the record that it answers
  int64_t written_at;  // when its writer began to write it
  uint64_t last;       // not 0: there is no further one
  char filling[kRecordSize - 40];
  uint64_t checksum;
};
static_assert(sizeof(Record) == kRecordSize);

uint64_t Checksum(const Record& record) {
  return XXH3_64bits(&record, kRecordSize - sizeof(record.checksum));
}

uint64_t OffsetOf(uint64_t sequence) { return sequence % kRecordsInALap * kRecordSize; }

class Ring {
 public:
  explicit Ring(const Pair& pair)
      : pair_(pair),
        reader_(pair.own->env(), pair.link->PeerPath(kRing), pair.own->access().direct_reads) {}

  absl::Status Open() {
    const std::string path = *pair_.own / kRing;
    if (absl::Status s = pair_.own->MakeZeros(path, kLiveFileSize); !s.ok()) return s;
    auto file = log::OpenLogForWriting(pair_.own->calls(), path, pair_.own->access());
    if (!file.ok()) return file.status();
    writer_ = *std::move(file);
    return absl::OkStatus();
  }

  absl::Status Put(uint64_t sequence, int64_t read_at, bool last) {
    Record record = {};
    record.sequence = sequence;
    record.read_at = read_at;
    record.written_at = pair_.examination->Now();
    record.last = last ? 1 : 0;
    memset(record.filling, 'a' + static_cast<int>(sequence % 26), sizeof(record.filling));
    record.checksum = Checksum(record);
    return writer_->WriteAt(OffsetOf(sequence),
                            absl::string_view(reinterpret_cast<char*>(&record), sizeof(record)));
  }

  // Waits for the other's record.
  absl::StatusOr<Record> Await(uint64_t sequence) {
    const uint64_t offset = OffsetOf(sequence);
    const uint64_t block = offset / kBlock * kBlock;
    const os::Nanos began = pair_.examination->Now();
    os::Nanos opened = began;
    bool torn = false;
    for (;;) {
      const auto bytes = reader_.Read(block, 2 * kBlock);
      if (!bytes.ok()) return bytes.status();
      if (bytes->size() >= offset - block + kRecordSize) {
        Record record;
        memcpy(&record, bytes->data() + (offset - block), sizeof(record));
        if (record.sequence == sequence && record.checksum == Checksum(record)) return record;
        if (record.sequence == sequence && !torn) {
          torn = true;
          ++torn_;
        }
      }
      const os::Nanos now = pair_.examination->Now();
      if (now > os::After(opened, pair_.examination->limits().blind)) {
        ++blind_;
        opened = now;
        if (absl::Status s = reader_.Reopen(); !s.ok()) return s;
      }
      if (now > os::After(began, pair_.examination->limits().unseen)) {
        return absl::DeadlineExceededError(absl::StrCat("a flushed record was not seen within ",
                                                        FormatNanos(now - began),
                                                        ", though the file was opened anew"));
      }
      const bool busy = now < os::After(began, kBusyLooks);
      if (absl::Status s = pair_.examination->Pause(busy ? kBetweenLooks : 5 * kBetweenLooks);
          !s.ok()) {
        return s;
      }
    }
  }

  uint32_t torn() const { return torn_; }
  uint32_t blind() const { return blind_; }

 private:
  const Pair pair_;
  std::unique_ptr<os::File> writer_;
  LiveReader reader_;
  uint32_t torn_ = 0;
  uint32_t blind_ = 0;
};

// The first side.
absl::Status Ask(const Pair& pair, Ring* ring, Times* times, RoundTrips* result) {
  const Limits& limits = pair.examination->limits();
  const os::Nanos end = os::After(pair.examination->Now(), limits.ringing);
  int64_t best = std::numeric_limits<int64_t>::max();
  bool last = false;
  for (uint64_t sequence = 1; !last; ++sequence) {
    last = sequence >= static_cast<uint64_t>(limits.round_trips) || pair.examination->Now() >= end;
    const os::Nanos asked = pair.examination->Now();
    if (absl::Status s = ring->Put(sequence, 0, last); !s.ok()) return s;
    const auto answer = ring->Await(sequence);
    if (!answer.ok()) return answer.status();
    const os::Nanos answered = pair.examination->Now();
    times->Add(answered - asked);
    // As NTP does it; the quickest exchange knows best.
    const int64_t unknown = (answered - asked) - (answer->written_at - answer->read_at);
    if (unknown < best) {
      best = unknown;
      result->set_offset_ns(((answer->read_at - asked) + (answer->written_at - answered)) / 2);
      result->set_uncertainty_ns(std::max<int64_t>(unknown, 0) / 2);
    }
  }
  result->set_median_ns(times->Median());
  result->set_worst_ns(times->Worst());
  result->set_count(times->size());
  return absl::OkStatus();
}

// The second.
absl::Status Answer(const Pair& pair, Ring* ring) {
  for (uint64_t sequence = 1;; ++sequence) {
    const auto question = ring->Await(sequence);
    if (!question.ok()) return question.status();
    const os::Nanos now = pair.examination->Now();
    if (absl::Status s = ring->Put(sequence, now, question->last != 0); !s.ok()) return s;
    if (question->last != 0) return absl::OkStatus();
  }
}

int64_t WallMinusBoot(const Pair& pair) {
  return absl::ToUnixNanos(pair.own->env().clock->WallTime()) - pair.examination->Now();
}

void TellRoundTrips(const RoundTrips& first, uint32_t torn, uint32_t blind, const Limits& limits,
                    Finding* finding) {
  finding->figure = absl::StrCat("median ", FormatNanos(first.median_ns()), ", worst ",
                                 FormatNanos(first.worst_ns()));
  finding->figures["median_ms"] = ToMilliseconds(first.median_ns());
  finding->figures["worst_ms"] = ToMilliseconds(first.worst_ns());
  finding->figures["count"] = first.count();
  finding->figures["torn_records"] = torn;
  finding->figures["opened_anew"] = blind;
  finding->meaning = "there and back over two logs; a call costs at least this";
  if (torn > 0) {
    absl::StrAppend(&finding->meaning, "; ", torn, " records were seen torn, which readers expect");
  }
  AdviseLeaseTerm(first.worst_ns(), finding);
  if (blind > 0) {
    finding->Worsen(Result::kWarn);
    absl::StrAppend(&finding->meaning, "; ", blind, " times a reader saw nothing for ",
                    absl::FormatDuration(limits.blind), " until it opened the file again");
  }
}

void TellClocks(const Pair& pair, int64_t wall) {
  const os::Nanos uncertainty = pair.link->ahead_uncertainty;
  Finding finding;
  finding.name = "clock_difference";
  finding.result = Result::kInfo;
  finding.figure = absl::StrCat(FormatNanos(wall), " +/- ", FormatNanos(uncertainty));
  finding.figures["other_ahead_ms"] = ToMilliseconds(wall);
  finding.figures["uncertainty_ms"] = ToMilliseconds(uncertainty);
  finding.meaning = "how far the other wall clock is ahead; nothing depends on it";
  pair.examination->Add(std::move(finding));
}

}  // namespace

void CheckRoundTrips(const Pair& pair) {
  pair.examination->Step("round_trip", [&]() -> absl::Status {
    Ring ring(pair);
    absl::Status status = ring.Open();
    if (const auto ready = pair.link->Exchange("ring"); !ready.ok()) return ready.status();
    Times times;
    RoundTrips own;
    if (status.ok()) {
      status = pair.link->first() ? Ask(pair, &ring, &times, &own) : Answer(pair, &ring);
    }
    if (!status.ok()) {
      // Nothing that follows could be measured.
      pair.examination->Add(FailedFinding("round_trip", status));
      return status;
    }
    own.set_wall_ns(WallMinusBoot(pair));
    own.set_torn(ring.torn());
    own.set_blind(ring.blind());
    const auto peer = pair.link->ExchangeMessage("rung", own);
    if (!peer.ok()) return peer.status();
    const RoundTrips& first = pair.link->first() ? own : *peer;
    const int64_t sign = pair.link->first() ? 1 : -1;
    pair.link->peer_ahead = sign * first.offset_ns();
    pair.link->ahead_uncertainty = first.uncertainty_ns();
    pair.link->round_trip = first.median_ns();
    Finding finding;
    finding.name = "round_trip";
    TellRoundTrips(first, own.torn() + peer->torn(), own.blind() + peer->blind(),
                   pair.examination->limits(), &finding);
    pair.examination->Add(std::move(finding));
    TellClocks(pair, pair.link->peer_ahead + peer->wall_ns() - own.wall_ns());
    return absl::OkStatus();
  });
}

}  // namespace spoolrpc::cli::doctor
