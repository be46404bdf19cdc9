// How soon one node sees what the other has written and flushed, in files that have their full size
// already. The same samples go into one file for each way to read, so that no way helps another:
// opening a file, for example, freshens what this node remembers of it.

#include <string.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/doctor/figures.h"
#include "cli/doctor/pair_checks.h"
#include "xxhash.h"

namespace spoolrpc::cli::doctor {
namespace {

enum Way { kHeldDirect, kHeld, kOpenedAnew };
struct WayName {
  Way way;
  const char* name;
  const char* file;
  const char* meaning;
};
constexpr WayName kWays[] = {
    {kHeldDirect, "read_held_direct", "samples-direct", "by a held O_DIRECT descriptor"},
    {kHeld, "read_held", "samples-held", "by a held descriptor"},
    {kOpenedAnew, "read_opened_anew", "samples-anew", "by opening the file each time"},
};

// A sample lies within one block, which is never seen torn.
constexpr size_t kSampleSize = 64;
constexpr int kMaxSamples = kBlock / kSampleSize;
constexpr absl::Duration kBetweenLooks = absl::Microseconds(500);
constexpr char kOrder[] = "order";
constexpr int kOrderRounds = 16;
constexpr int kReadings = 3;

std::string Sample(int number) {
  std::string sample(kSampleSize, static_cast<char>('a' + number % 26));
  const uint64_t checksum = XXH3_64bits_withSeed(sample.data() + 8, kSampleSize - 8, number + 1);
  memcpy(&sample[0], &checksum, 8);
  return sample;
}

absl::Status MakeFiles(const Pair& pair) {
  for (const WayName& way : kWays) {
    if (absl::Status s = pair.own->MakeZeros(*pair.own / way.file, kLiveFileSize); !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

// Writes each sample into all files, and says when.
absl::Status WriteSamples(const Pair& pair, int count, Moments* moments) {
  std::vector<std::unique_ptr<os::File>> files;
  for (const WayName& way : kWays) {
    auto file = log::OpenLogForWriting(pair.own->calls(), *pair.own / way.file, pair.own->access());
    if (!file.ok()) return file.status();
    files.push_back(*std::move(file));
  }
  for (int i = 0; i < count; ++i) {
    for (const auto& file : files) {
      moments->add_at(pair.examination->Now());
      if (absl::Status s = file->WriteAt(i * kSampleSize, Sample(i)); !s.ok()) return s;
    }
    if (absl::Status s = pair.examination->Pause(pair.examination->limits().sample_gap); !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

// One way to read the other's samples.
class Watcher {
 public:
  Watcher(const Pair& pair, const WayName& way)
      : way_(way),
        reader_(pair.own->env(), pair.link->PeerPath(way.file), way.way == kHeldDirect) {}

  // Looks once, by the clock at `now` when it has looked.
  void Look(const Pair& pair) {
    if (done()) return;
    if (way_.way == kOpenedAnew) reader_.Close();
    const auto bytes = reader_.Read(0, kBlock);
    if (!bytes.ok()) {
      error_ = bytes.status();
      return;
    }
    while (!done() && bytes->size() >= (seen_.size() + 1) * kSampleSize &&
           bytes->substr(seen_.size() * kSampleSize, kSampleSize) == Sample(seen_.size())) {
      seen_.push_back(pair.examination->Now());
    }
  }
  void Expect(int count) { count_ = count; }
  bool done() const { return seen_.size() >= count_; }
  const WayName& way() const { return way_; }
  // Known when it has looked.
  bool direct() const { return reader_.direct(); }
  const std::vector<os::Nanos>& seen() const { return seen_; }
  const absl::Status& error() const { return error_; }

 private:
  const WayName way_;
  LiveReader reader_;
  size_t count_ = 0;
  std::vector<os::Nanos> seen_;
  absl::Status error_;
};

// Polls until all that the runtime relies on is seen.
absl::Status Watch(const Pair& pair, std::vector<std::unique_ptr<Watcher>>* watchers,
                   const Watcher* used) {
  const Limits& limits = pair.examination->limits();
  os::Nanos progress = pair.examination->Now();
  for (;;) {
    bool all = true;
    size_t before = 0, after = 0;
    for (const auto& watcher : *watchers) {
      before += watcher->seen().size();
      watcher->Look(pair);
      after += watcher->seen().size();
      all = all && watcher->done();
    }
    const os::Nanos now = pair.examination->Now();
    if (after > before) progress = now;
    if (all || now > os::After(progress, used->done() ? limits.curious : limits.unseen)) {
      return absl::OkStatus();
    }
    if (absl::Status s = pair.examination->Pause(kBetweenLooks); !s.ok()) return s;
  }
}

void TellReading(const Pair& pair, const Watcher& watcher, bool used, const Moments& moments) {
  Finding finding;
  finding.name = watcher.way().name;
  finding.result = used ? Result::kOk : Result::kInfo;
  finding.meaning = absl::StrCat("until flushed bytes are seen ", watcher.way().meaning,
                                 used ? ", as sessions read here" : "");
  Times times;
  const size_t ways = std::size(kWays);
  const size_t at = watcher.way().way;
  const size_t count = moments.at_size() / ways;
  for (size_t i = 0; i < watcher.seen().size() && i < count; ++i) {
    const os::Nanos written = pair.link->ToOwnTime(moments.at(i * ways + at));
    times.Add(std::max<os::Nanos>(watcher.seen()[i] - written, 0));
  }
  const size_t missing = count - times.size();
  times.Store("", &finding);
  finding.figures["unseen"] = static_cast<double>(missing);
  finding.figure = times.Text();
  if (missing > 0) {
    absl::StrAppend(&finding.figure, ", ", missing, " of ", count, " not seen in time");
  }
  // (Where the other node could write none, it says so.)
  if (count == 0) finding.result = Result::kInfo;
  if (used) {
    AdviseLeaseTerm(times.Worst(), &finding);
    if (missing > 0) {
      finding.result = Result::kFail;
      finding.meaning = absl::StrCat("flushed bytes are not seen ", watcher.way().meaning,
                                     ", as sessions read here", watcher.error().ok() ? "" : ": ",
                                     watcher.error().message());
    }
  }
  pair.examination->Add(std::move(finding));
}

// One direction.
absl::Status Samples(const Pair& pair, bool writes) {
  const int count = std::min(pair.examination->limits().samples, kMaxSamples);
  absl::Status local = writes ? MakeFiles(pair) : absl::OkStatus();
  if (const auto ready = pair.link->Exchange("samples"); !ready.ok()) return ready.status();
  std::vector<std::unique_ptr<Watcher>> watchers;
  const Watcher* used = nullptr;
  if (!writes) {
    for (const WayName& way : kWays) {
      // On a local file system it would only slow down the writer.
      if (way.way == kHeldDirect && !pair.own->network()) continue;
      auto watcher = std::make_unique<Watcher>(pair, way);
      watcher->Expect(1);
      watcher->Look(pair);
      if (way.way == kHeldDirect && !watcher->direct()) continue;
      watcher->Expect(count);
      if (used == nullptr) used = watcher.get();
      watchers.push_back(std::move(watcher));
    }
  }
  if (const auto go = pair.link->Exchange("samples-go"); !go.ok()) return go.status();
  Moments moments;
  if (writes) {
    if (local.ok()) local = WriteSamples(pair, count, &moments);
    if (!local.ok()) pair.examination->Add(FailedFinding("flushed_write", local));
  } else if (absl::Status s = Watch(pair, &watchers, used); !s.ok()) {
    return s;
  }
  const auto peer = pair.link->ExchangeMessage("samples-done", moments);
  if (!peer.ok()) return peer.status();
  for (const auto& watcher : watchers) {
    TellReading(pair, *watcher, watcher.get() == used, *peer);
  }
  return absl::OkStatus();
}

// What a flush means: who learns of it, by whatever way, and opens the file then, sees the bytes.
absl::Status Order(const Pair& pair) {
  const std::string path = *pair.own / kOrder;
  absl::Status local = pair.own->MakeZeros(path, kLiveFileSize);
  std::unique_ptr<os::File> file;
  if (local.ok()) {
    auto opened = log::OpenLogForWriting(pair.own->calls(), path, pair.own->access());
    local = opened.status();
    if (local.ok()) file = *std::move(opened);
  }
  LiveReader reader(pair.own->env(), pair.link->PeerPath(kOrder), pair.own->access().direct_reads);
  int late = 0, lost = 0;
  for (int round = 0; round < kOrderRounds; ++round) {
    if (local.ok()) local = file->WriteAt(round * kBlock, Sample(round));
    if (const auto flushed = pair.link->Exchange("flushed"); !flushed.ok()) return flushed.status();
    int readings = 0;
    for (bool seen = false; !seen && readings <= kReadings; ++readings) {
      if (!reader.Reopen().ok()) continue;
      const auto bytes = reader.Read(round * kBlock, kBlock);
      seen = bytes.ok() && bytes->substr(0, kSampleSize) == Sample(round);
    }
    if (readings > 1) ++late;
    if (readings > kReadings) ++lost;
  }
  if (!local.ok()) pair.examination->Add(FailedFinding("flushed_write", local));
  Finding finding;
  finding.name = "flush_then_open";
  finding.figure = absl::StrCat(kOrderRounds - lost, " of ", kOrderRounds, " seen");
  finding.figures["rounds"] = kOrderRounds;
  finding.figures["late"] = late;
  finding.figures["lost"] = lost;
  finding.meaning = "what was flushed is there for who opens the file afterwards";
  if (late > 0) {
    finding.Worsen(Result::kWarn);
    absl::StrAppend(&finding.meaning, "; ", late, " times only at the second or third reading");
  }
  if (lost > 0) {
    finding.Worsen(Result::kFail);
    finding.meaning =
        "who opens a file does not see what was flushed before; sessions would end as corrupt";
  }
  pair.examination->Add(std::move(finding));
  return absl::OkStatus();
}

}  // namespace

void CheckReading(const Pair& pair) {
  for (const bool first : {true, false}) {
    pair.examination->Step("flushed_bytes",
                           [&] { return Samples(pair, pair.link->first() == first); });
  }
  pair.examination->Step("flush_then_open", [&] { return Order(pair); });
}

}  // namespace spoolrpc::cli::doctor
