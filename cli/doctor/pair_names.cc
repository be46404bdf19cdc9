// How soon one node sees names that the other makes: as servers look for announcements, as clients
// look for verdicts, and as nobody should.

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/doctor/figures.h"
#include "cli/doctor/pair_checks.h"

namespace spoolrpc::cli::doctor {
namespace {

enum Way { kListed, kOpened, kVain };
struct WayName {
  Way way;
  const char* name;
  const char* directory;
  const char* meaning;
};
constexpr WayName kWays[] = {
    {kListed, "names_listed", "names-listed",
     "until a name is listed: how servers find announcements"},
    {kOpened, "names_opened", "names-opened",
     "until a name can be opened after a listing: how clients find verdicts"},
    {kVain, "names_in_vain", "names-in-vain",
     "until a name is there that was looked for in vain before"},
};
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(2);
constexpr absl::Duration kTouchAfter = absl::Milliseconds(20);
// A third of the default ack timeout is for one server, which needs two names.
constexpr os::Nanos kTooLate = 3'300'000'000;

std::string NameOf(size_t number) { return absl::StrCat("name.", number); }

absl::Status MakeDirectories(const Pair& pair) {
  for (const WayName& way : kWays) {
    if (absl::Status s = pair.own->MakeSubdirectory(way.directory); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// Publishes names as the runtime does: announcements are created, verdicts linked.
absl::Status MakeNames(const Pair& pair, Moments* moments) {
  os::SystemCalls* const calls = pair.own->calls();
  for (int i = 0; i < pair.examination->limits().names; ++i) {
    for (const WayName& way : kWays) {
      const std::string path = *pair.own / absl::StrCat(way.directory, "/", NameOf(i));
      const std::string temporary = *pair.own / absl::StrCat(way.directory, "/.tmp-", i);
      absl::Status made;
      if (way.way == kOpened) made = os::WriteNewFile(calls, temporary, "x", 0600, true);
      moments->add_at(pair.examination->Now());
      if (made.ok()) {
        made = way.way == kOpened ? os::Link(calls, temporary, path)
                                  : os::WriteNewFile(calls, path, "", 0600, false);
      }
      if (!made.ok()) return made;
    }
    if (absl::Status s = pair.examination->Pause(kTouchAfter); !s.ok()) return s;
    for (const WayName& way : kWays) pair.own->Touch(*pair.own / way.directory);
    if (absl::Status s = pair.examination->Pause(pair.examination->limits().name_gap); !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

// One way to look.
struct Watcher {
  WayName way;
  std::string directory;
  std::vector<os::Nanos> seen;

  void Look(const Pair& pair, size_t count) {
    if (seen.size() >= count) return;
    os::SystemCalls* const calls = pair.own->calls();
    std::vector<std::string> names;
    if (way.way != kVain) {
      auto listed = os::ListDirectory(calls, directory);
      if (listed.ok()) names = *std::move(listed);
    }
    while (seen.size() < count) {
      const std::string name = NameOf(seen.size());
      const std::string path = absl::StrCat(directory, "/", name);
      bool there = false;
      switch (way.way) {
        case kListed:
          there = std::find(names.begin(), names.end(), name) != names.end();
          break;
        case kOpened:
          there = os::OpenFile(calls, path, {}).ok();
          break;
        case kVain:
          there = os::StatPath(calls, path).ok();
          break;
      }
      if (!there) return;
      seen.push_back(pair.examination->Now());
    }
  }
};

absl::Status Watch(const Pair& pair, std::vector<Watcher>* watchers) {
  const Limits& limits = pair.examination->limits();
  os::Nanos progress = pair.examination->Now();
  for (;;) {
    bool all = true, used = true;
    size_t before = 0, after = 0;
    for (Watcher& watcher : *watchers) {
      before += watcher.seen.size();
      watcher.Look(pair, limits.names);
      after += watcher.seen.size();
      const bool done = watcher.seen.size() >= static_cast<size_t>(limits.names);
      all = all && done;
      used = used && (done || watcher.way.way == kVain);
    }
    const os::Nanos now = pair.examination->Now();
    if (after > before) progress = now;
    if (all || now > os::After(progress, used ? limits.curious : limits.unlisted)) {
      return absl::OkStatus();
    }
    if (absl::Status s = pair.examination->Pause(kBetweenLooks); !s.ok()) return s;
  }
}

// Returns the longest delay.
os::Nanos TellNames(const Pair& pair, const Watcher& watcher, const Moments& moments) {
  Finding finding;
  finding.name = watcher.way.name;
  finding.meaning = watcher.way.meaning;
  const size_t ways = std::size(kWays);
  const size_t count = moments.at_size() / ways;
  Times times;
  for (size_t i = 0; i < watcher.seen.size() && i < count; ++i) {
    const os::Nanos made = pair.link->ToOwnTime(moments.at(i * ways + watcher.way.way));
    times.Add(std::max<os::Nanos>(watcher.seen[i] - made, 0));
  }
  const size_t missing = count - times.size();
  times.Store("", &finding);
  finding.figures["unseen"] = static_cast<double>(missing);
  finding.figure = times.Text();
  if (missing > 0) absl::StrAppend(&finding.figure, ", ", missing, " of ", count, " not seen");
  if (watcher.way.way == kVain || count == 0) {
    // (Where the other node could make none, it says so.)
    finding.result = Result::kInfo;
  } else if (missing > 0 || times.Worst() > kTooLate) {
    finding.result = Result::kFail;
    absl::StrAppend(&finding.meaning, "; it takes longer than calls wait");
    if (const auto mended = MountOptionForNames(*pair.mount); mended.has_value()) {
      finding.settings.push_back(*mended);
    }
  }
  pair.examination->Add(std::move(finding));
  return times.Worst();
}

absl::Status Names(const Pair& pair, bool makes) {
  absl::Status local = makes ? MakeDirectories(pair) : absl::OkStatus();
  if (const auto ready = pair.link->Exchange("names"); !ready.ok()) return ready.status();
  std::vector<Watcher> watchers;
  if (!makes) {
    for (const WayName& way : kWays) {
      watchers.push_back({way, pair.link->PeerPath(way.directory), {}});
      watchers.back().Look(pair, pair.examination->limits().names);
    }
  }
  if (const auto go = pair.link->Exchange("names-go"); !go.ok()) return go.status();
  Moments moments;
  if (makes) {
    if (local.ok()) local = MakeNames(pair, &moments);
    if (!local.ok()) pair.examination->Add(FailedFinding("names_made", local));
  } else if (absl::Status s = Watch(pair, &watchers); !s.ok()) {
    return s;
  }
  const auto peer = pair.link->ExchangeMessage("names-done", moments);
  if (!peer.ok()) return peer.status();
  if (makes) return absl::OkStatus();
  const os::Nanos listed = TellNames(pair, watchers[kListed], *peer);
  const os::Nanos opened = TellNames(pair, watchers[kOpened], *peer);
  TellNames(pair, watchers[kVain], *peer);
  Finding advice;
  AdviseAckTimeout(listed, opened, &advice);
  if (!advice.settings.empty()) {
    advice.name = "ack_timeout";
    advice.figure = FormatNanos(listed + opened);
    advice.figures["names_ms"] = ToMilliseconds(listed + opened);
    advice.meaning = "until both names of a session's beginning are seen";
    pair.examination->Add(std::move(advice));
  }
  return absl::OkStatus();
}

}  // namespace

void CheckNames(const Pair& pair) {
  for (const bool first : {true, false}) {
    pair.examination->Step("names", [&] { return Names(pair, pair.link->first() == first); });
  }
}

}  // namespace spoolrpc::cli::doctor
