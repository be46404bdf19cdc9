#include "cli/doctor/claims.h"

#include <errno.h>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::cli::doctor {
namespace {

std::string In(const std::string& base, const Claim& claim, absl::string_view name, int round) {
  return absl::StrCat(base, "/", claim.directory, "/", name, ".", round);
}

}  // namespace

absl::Status PrepareClaims(os::SystemCalls* calls, const std::string& base, int rounds) {
  if (absl::Status s = os::MakeDirectory(calls, base, 0700); !s.ok()) return s;
  for (const Claim& claim : kClaims) {
    const std::string directory = absl::StrCat(base, "/", claim.directory);
    if (absl::Status s = os::MakeDirectory(calls, directory, 0700); !s.ok()) return s;
    if (claim.kind != Claim::kRename) continue;
    for (int round = 0; round < rounds; ++round) {
      const absl::Status made =
          os::WriteNewFile(calls, In(base, claim, "source", round), "", 0600, false);
      if (!made.ok()) return made;
    }
  }
  return absl::OkStatus();
}

absl::Status PrepareContender(os::SystemCalls* calls, const std::string& base,
                              absl::string_view who, int rounds) {
  // A file of its own for each round: GlusterFS lets a file have some 45 names.
  for (int round = 0; round < rounds; ++round) {
    const absl::Status made = os::WriteNewFile(
        calls, In(base, kClaims[Claim::kLink], absl::StrCat("from-", who), round), who, 0600, true);
    if (!made.ok()) return made;
  }
  return absl::OkStatus();
}

absl::Status TryClaim(os::SystemCalls* calls, const Claim& claim, const std::string& base,
                      absl::string_view who, int round) {
  const std::string goal = In(base, claim, "goal", round);
  switch (claim.kind) {
    case Claim::kCreate:
      return os::WriteNewFile(calls, goal, "", 0600, false);
    case Claim::kLink:
      return os::Link(calls, In(base, claim, absl::StrCat("from-", who), round), goal);
    case Claim::kMkdir:
      return os::MakeDirectory(calls, goal, 0700);
    case Claim::kRename:
      break;
  }
  return os::Rename(calls, In(base, claim, "source", round),
                    In(base, claim, absl::StrCat("goal-", who), round));
}

bool MeansLost(const Claim& claim, int error) {
  return error == (claim.kind == Claim::kRename ? ENOENT : EEXIST) || error == ESTALE;
}

void TellClaim(const Claim& claim, const Tally& tally, Finding* finding) {
  finding->name = claim.name;
  const int one = tally.rounds - tally.none - tally.several;
  finding->figure = absl::StrCat(one, " of ", tally.rounds, " rounds had one winner");
  finding->figures["rounds"] = tally.rounds;
  finding->figures["none_won"] = tally.none;
  finding->figures["several_won"] = tally.several;
  finding->meaning = claim.meaning;
  if (tally.several > 0) {
    finding->Worsen(Result::kFail);
    absl::StrAppend(&finding->meaning, "; ", tally.several, " rounds had more");
    if (claim.kind != Claim::kMkdir) {
      absl::StrAppend(&finding->meaning, ": a call could be executed twice");
    }
  }
  if (tally.none > 0) {
    finding->Worsen(one == 0 ? Result::kFail : Result::kWarn);
    absl::StrAppend(&finding->meaning, "; in ", tally.none, " nobody was told that he won");
    if (!tally.error.ok()) absl::StrAppend(&finding->meaning, " (", tally.error.message(), ")");
  } else if (!tally.error.ok() && tally.several == 0) {
    // The runtime looks who won after any error. (Without the path, which says nothing here.)
    const absl::string_view message = tally.error.message();
    const size_t colon = message.rfind(": ");
    absl::StrAppend(&finding->meaning, "; losers may see '",
                    message.substr(colon == absl::string_view::npos ? 0 : colon + 2), "'");
  }
}

}  // namespace spoolrpc::cli::doctor
