// Both nodes try to win the same names at the same moments, by their estimate of each other's
// clock.

#include <stdlib.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/doctor/claims.h"
#include "cli/doctor/figures.h"
#include "cli/doctor/pair_checks.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr char kShared[] = "races";
constexpr absl::Duration kHeadStart = absl::Milliseconds(500);
constexpr absl::Duration kBetweenRounds = absl::Milliseconds(5);
constexpr int kRoundTripsARound = 3;
constexpr absl::Duration kSpin = absl::Milliseconds(1);
// 100 rounds of 4 claims do not fit into a block.
constexpr int kMaxRounds = 60;

// Until `when`, exactly: it sleeps, then spins.
absl::Status AwaitMoment(Examination* examination, os::Nanos when) {
  const os::Nanos spin = absl::ToInt64Nanoseconds(kSpin);
  for (;;) {
    const os::Nanos left = when - examination->Now();
    if (left <= 0) return absl::OkStatus();
    if (left <= spin) continue;
    if (absl::Status s = examination->Pause(absl::Nanoseconds(left - spin)); !s.ok()) return s;
  }
}

// One claim's rounds; each begins `gap` after the one before.
absl::Status Race(const Pair& pair, const Claim& claim, const std::string& base, int rounds) {
  const std::string who = pair.link->first() ? "first" : "second";
  os::Nanos start = os::After(pair.examination->Now(), kHeadStart);
  // The second takes the first's word, in its own time.
  const auto said = pair.link->Exchange("race", absl::StrCat(start));
  if (!said.ok()) return said.status();
  if (!pair.link->first()) {
    if (!absl::SimpleAtoi(*said, &start)) return absl::DataLossError("no time for the race");
    start = pair.link->ToOwnTime(start);
  }
  const os::Nanos gap = std::max<os::Nanos>(absl::ToInt64Nanoseconds(kBetweenRounds),
                                            kRoundTripsARound * pair.link->round_trip);
  Races own;
  absl::Status error;
  std::vector<os::Nanos> ended;
  for (int round = 0; round < rounds; ++round) {
    if (absl::Status s = AwaitMoment(pair.examination, start + round * gap); !s.ok()) return s;
    Races::Race* const race = own.add_races();
    race->set_began(pair.examination->Now());
    const absl::Status tried = TryClaim(pair.own->calls(), claim, base, who, round);
    ended.push_back(pair.examination->Now());
    race->set_error(tried.ok() ? 0 : std::max(os::ErrnoOf(tried), 1));
    if (!tried.ok() && !MeansLost(claim, os::ErrnoOf(tried))) error = tried;
  }
  const auto peer = pair.link->ExchangeMessage("raced", own);
  if (!peer.ok()) return peer.status();
  if (peer->races_size() != rounds) return absl::DataLossError("the other node ran another race");
  Tally tally;
  tally.rounds = rounds;
  tally.error = error;
  int together = 0;
  for (int round = 0; round < rounds; ++round) {
    const int winners =
        (own.races(round).error() == 0 ? 1 : 0) + (peer->races(round).error() == 0 ? 1 : 0);
    if (winners == 0) ++tally.none;
    if (winners == 2) ++tally.several;
    const os::Nanos other = pair.link->ToOwnTime(peer->races(round).began());
    const os::Nanos length = ended[round] - static_cast<os::Nanos>(own.races(round).began());
    if (std::abs(other - static_cast<os::Nanos>(own.races(round).began())) <= length) ++together;
  }
  Finding finding;
  TellClaim(claim, tally, &finding);
  finding.name = absl::StrCat("pair_", claim.name);
  absl::StrAppend(&finding.figure, ", ", together, " truly raced");
  finding.figures["raced"] = together;
  pair.examination->Add(std::move(finding));
  return absl::OkStatus();
}

}  // namespace

void CheckRaces(const Pair& pair) {
  const int rounds = std::min(pair.examination->limits().races, kMaxRounds);
  const std::string base = pair.link->first() ? *pair.own / kShared : pair.link->PeerPath(kShared);
  pair.examination->Step("races", [&]() -> absl::Status {
    absl::Status local =
        pair.link->first() ? PrepareClaims(pair.own->calls(), base, rounds) : absl::OkStatus();
    if (const auto made = pair.link->Exchange("races-made"); !made.ok()) return made.status();
    if (local.ok()) {
      local = PrepareContender(pair.own->calls(), base, pair.link->first() ? "first" : "second",
                               rounds);
    }
    if (!local.ok()) pair.examination->Add(FailedFinding("races_prepared", local));
    const auto ready = pair.link->Exchange("races-ready");
    return ready.status();
  });
  for (const Claim& claim : kClaims) {
    pair.examination->Step(claim.name, [&] { return Race(pair, claim, base, rounds); });
  }
}

}  // namespace spoolrpc::cli::doctor
