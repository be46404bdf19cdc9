// The ways in which processes win a name against each other, for the checks that race for one.
#ifndef SPOOLRPC_CLI_DOCTOR_CLAIMS_H_
#define SPOOLRPC_CLI_DOCTOR_CLAIMS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cli/doctor/finding.h"
#include "cli/doctor/workspace.h"

namespace spoolrpc::cli::doctor {

struct Claim {
  enum Kind { kCreate, kLink, kMkdir, kRename };
  Kind kind;
  const char* name;       // of the check
  const char* directory;  // in which it is tried
  const char* meaning;
};
constexpr Claim kClaims[] = {
    {Claim::kCreate, "exclusive_create", "create", "O_CREAT|O_EXCL has one winner"},
    {Claim::kLink, "exclusive_link", "link", "link to one name has one winner"},
    {Claim::kMkdir, "exclusive_mkdir", "mkdir", "mkdir of one name has one winner"},
    {Claim::kRename, "exclusive_rename", "rename", "rename of one source has one winner"},
};

// The directories for `rounds` rounds below `base`, and what they need.
absl::Status PrepareClaims(os::SystemCalls* calls, const std::string& base, int rounds);
// What the contender `who` needs, below `base`, for itself.
absl::Status PrepareContender(os::SystemCalls* calls, const std::string& base,
                              absl::string_view who, int rounds);
// Tries to win a round. OK: won.
absl::Status TryClaim(os::SystemCalls* calls, const Claim& claim, const std::string& base,
                      absl::string_view who, int round);

// What came out of the rounds of one claim.
struct Tally {
  int rounds = 0;
  int none = 0;     // rounds that nobody won
  int several = 0;  // rounds that more than one won
  // Of a loser, other than that the name was taken; or of a winner of nothing.
  absl::Status error;
};

// An error that a loser has to get.
bool MeansLost(const Claim& claim, int error);
void TellClaim(const Claim& claim, const Tally& tally, Finding* finding);

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_CLAIMS_H_
