// Examines a directory for what the protocol relies on: alone, and together with another node.
#ifndef SPOOLRPC_CLI_DOCTOR_DOCTOR_H_
#define SPOOLRPC_CLI_DOCTOR_DOCTOR_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/doctor/bell_partner.h"
#include "cli/doctor/examination.h"
#include "cli/doctor/finding.h"
#include "cli/doctor/mount.h"
#include "spoolrpc/os/environment.h"

namespace spoolrpc::cli::doctor {

struct Options {
  os::Environment env;
  // Absolute.
  std::string directory;
  // What both sides of a pair are started with; empty: alone.
  std::string pair;
  // How long the other side of the pair is waited for.
  absl::Duration timeout = absl::Seconds(60);
  Limits limits;
  // A second process of this host, which shows whether memory is shared; null: that is not looked
  // at. Must outlive the examination, and if that hangs, the program.
  BellPartner* partner = nullptr;
  // Asked now and then; true ends the examination, which then tidies up.
  std::function<bool()> interrupted = [] { return false; };
  // Told in words what is waited for.
  std::function<void(absl::string_view)> progress = [](absl::string_view) {};
};

enum class Verdict {
  kWorks,
  kWorksWithSettings,
  kDoNotUse,
  kUnknown,  // something was not found out, and nothing spoke against it
};

struct Diagnosis {
  std::string directory;
  std::string file_system;  // "nfs"; empty: not known
  Mount mount;
  std::string pair;
  std::vector<Finding> findings;
  // Of all findings, one a name.
  std::vector<Setting> settings;
  Verdict verdict = Verdict::kUnknown;
  // Why not all checks were made; OK if they were. CANCELLED: interrupted; DEADLINE_EXCEEDED: one
  // hangs, and a thread of this process with it.
  absl::Status ending;
};

// Makes all checks. Blocks until they are made, or one hangs; never longer. Leaves nothing behind
// in the directory, unless a check hangs.
Diagnosis Diagnose(const Options& options);

// "works", "works_with_settings", "do_not_use", "unknown"
absl::string_view VerdictName(Verdict verdict);

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_DOCTOR_H_
