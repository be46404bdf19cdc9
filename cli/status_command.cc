// `spoolrpc status`: who serves a spool; with --wait, until somebody does.

#include <stdio.h>

#include <algorithm>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/command_line.h"
#include "cli/exit_codes.h"
#include "cli/status_report.h"
#include "cli/text.h"
#include "spoolrpc/spool/address.h"
#include "spoolrpc/spool/query.h"

ABSL_FLAG(bool, json, false, "Print one JSON document, described by proto/spoolrpc/status.proto.");
ABSL_FLAG(
    spoolrpc::cli::OptionalDuration, wait, {},
    "Wait for ever, or at most so long (--wait=30s): `status` until a server is serving, also "
    "on a spool that does not exist yet; `drain` and `stop` until the servers are gone; "
    "`gc` until it is known of every lease whether it moves.");
ABSL_FLAG(std::string, service, "",
          "Ask for a server that offers this service, such as helloworld.Greeter; else any server "
          "will do. All are shown all the same.");
ABSL_FLAG(int, sessions, 20, "Show at most so many sessions of each server.");
ABSL_FLAG(absl::Duration, watch, absl::Seconds(12),
          "On a network file system, watch the servers' leases for at most so long before calling "
          "one that does not move unresponsive (each for at most 1.2 of its terms; a living one is "
          "known after a quarter of a term). 0: do not watch. --wait watches as long as it waits.");

namespace spoolrpc::cli {
namespace {

constexpr char kDescription[] =
    R"(Shows who serves a spool: for each server its state, host, process, time since
it started, time since its lease was renewed (and the lease's term), calls
served, sessions and services; and the sessions of its clients.

SPOOL is spool:/path or a plain path; without it $SPOOLRPC_DIR, and without
that ~/.cache/spoolrpc.

States: serving; draining (finishes what it has, takes nothing new); stopped;
dead (its process is gone); unresponsive (its lease has not moved for a term).

Exit status:
  0  a server is serving (with --service: one that offers the service)
  1  none is, or there is no spool yet; with --wait: none was within that time
  2  wrong usage
  3  the spool cannot be used: no permission, not a spool, a newer format

In a job script:
  spoolrpc status "$SPOOL" --wait=5m --service=helloworld.Greeter || exit
)";

int ExitStatusOf(const absl::Status& error) {
  if (absl::IsNotFound(error)) return kExitNo;
  return absl::IsInvalidArgument(error) ? kExitUsage : kExitUnusable;
}

absl::StatusOr<SpoolStatus> Ask(const std::string& address) {
  const size_t sessions = std::max(0, absl::GetFlag(FLAGS_sessions));
  if (const OptionalDuration wait = absl::GetFlag(FLAGS_wait); wait.given) {
    WaitOptions options;
    options.service = absl::GetFlag(FLAGS_service);
    options.timeout = wait.value;
    options.max_sessions = sessions;
    return WaitForServer(address, options);
  }
  QueryOptions options;
  options.watch = absl::GetFlag(FLAGS_watch);
  options.max_sessions = sessions;
  return QuerySpool(address, options);
}

void Print(const std::string& text) { fwrite(text.data(), 1, text.size(), stdout); }

void Complain(const std::string& text) { fprintf(stderr, "spoolrpc: %s\n", text.c_str()); }

int RunStatus(const std::vector<std::string>& arguments) {
  const std::string address = arguments.empty() ? "" : arguments[0];
  const bool json = absl::GetFlag(FLAGS_json);
  const auto status = Ask(address);
  if (!status.ok()) {
    Complain(Printable(status.status().message()));
    if (json && absl::IsNotFound(status.status())) {
      SpoolStatus none;
      none.path = spool::ResolveAddress(address).value_or(address);
      Print(ToJson(ToDocument(none, /*exists=*/false, /*live=*/false)));
    }
    return ExitStatusOf(status.status());
  }
  const std::string service = absl::GetFlag(FLAGS_service);
  const bool live = HasServer(*status, service);
  Print(json ? ToJson(ToDocument(*status, /*exists=*/true, live)) : StatusText(*status));
  if (live) return kExitOk;
  const OptionalDuration wait = absl::GetFlag(FLAGS_wait);
  Complain(
      absl::StrCat("no live server on ", Printable(status->path),
                   service.empty() ? "" : absl::StrCat(" that offers ", Printable(service)),
                   wait.given ? absl::StrCat(" within ", absl::FormatDuration(wait.value)) : ""));
  return kExitNo;
}

}  // namespace

const Command& StatusCommand() {
  static const Command* const command =
      new Command{"status",
                  "shows who serves a spool, and waits for a server",
                  "status [SPOOL] [--json] [--wait[=DURATION]] [--service=NAME]",
                  kDescription,
                  {"json", "wait", "service", "sessions", "watch"},
                  0,
                  1,
                  RunStatus};
  return *command;
}

}  // namespace spoolrpc::cli
