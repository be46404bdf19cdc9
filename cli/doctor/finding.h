// What a check of `spoolrpc doctor` found out.
#ifndef SPOOLRPC_CLI_DOCTOR_FINDING_H_
#define SPOOLRPC_CLI_DOCTOR_FINDING_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace spoolrpc::cli::doctor {

// From good to bad.
enum class Result {
  kInfo,  // nothing depends on it
  kOk,
  kWarn,  // the protocol copes, perhaps with a setting
  kFail,  // the protocol relies on it, and it does not hold
};

// "info", "ok", "warn" or "FAIL".
inline absl::string_view ResultName(Result result) {
  switch (result) {
    case Result::kInfo:
      return "info";
    case Result::kOk:
      return "ok";
    case Result::kWarn:
      return "warn";
    case Result::kFail:
      break;
  }
  return "FAIL";
}

// What to set: an option of the API, or one of the mount.
struct Setting {
  std::string name;   // "ServerBuilder::set_lease_term()", "mount option"
  std::string value;  // as it is written there
  std::string why;
  // Of two values for one name the one with the greater weight counts.
  double weight = 0;
};

struct Finding {
  // In JSON and in messages; never changed: "direct_read".
  std::string name;
  Result result = Result::kOk;
  // In short, for the table: "median 1.2 ms, worst 7 ms".
  std::string figure;
  // What it means, in a sentence.
  std::string meaning;
  // The numbers, with their units in their names: "median_ms".
  std::map<std::string, double> figures;
  std::vector<Setting> settings;

  // Makes it no better than `worse`.
  void Worsen(Result worse) {
    if (worse > result) result = worse;
  }
};

// Of a check that could not be made, or whose means do not work at all.
inline Finding FailedFinding(absl::string_view name, const absl::Status& status) {
  Finding finding;
  finding.name = std::string(name);
  finding.result = Result::kFail;
  finding.meaning = std::string(status.message());
  return finding;
}

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_FINDING_H_
