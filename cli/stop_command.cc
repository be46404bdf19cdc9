// `spoolrpc drain` and `spoolrpc stop`: ask servers to stop; `stop` waits until they have.

#include <stdio.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/command_line.h"
#include "cli/exit_codes.h"
#include "cli/status_report.h"
#include "cli/text.h"
#include "spoolrpc/spool/address.h"
#include "spoolrpc/spool/stop_servers.h"
#include "spoolrpc/status.pb.h"

ABSL_DECLARE_FLAG(bool, json);
ABSL_DECLARE_FLAG(spoolrpc::cli::OptionalDuration, wait);
ABSL_FLAG(std::string, server, "all",
          "Which server: its id or the beginning of it, as `spoolrpc status` prints it; or all.");
ABSL_FLAG(spoolrpc::cli::OptionalDuration, deadline, {},
          "Cancel calls that still run after so long, counted from when the server reads the "
          "request. Without it `drain` lets them run as long as they take, `stop` for 5 s.");

namespace spoolrpc::cli {
namespace {

constexpr absl::Duration kStopDeadline = absl::Seconds(5);
// How long `stop` waits beyond the deadline: a server gives clients 12 s to take what it has for
// them, and one that died is known by its lease.
constexpr absl::Duration kStopMargin = absl::Seconds(25);

constexpr char kDrainDescription[] =
    R"(Asks servers to stop taking calls and to end once those that run have ended.
What a server has taken and not started it gives back: clients send it to
another server, or wait for the next one. With --deadline, what still runs then
is cancelled. Without --wait it returns when the requests are written; a server
notices within its poll interval (50 ms unless it was told otherwise).

SPOOL is spool:/path or a plain path; without it $SPOOLRPC_DIR, and without
that ~/.cache/spoolrpc. Only root and who may serve the spool can ask.

Exit status:
  0  all were asked, or there was none to ask; with --wait: all are gone
  1  with --wait: one was still there after that time; or there is no server
     of that id
  2  wrong usage
  3  the spool cannot be used, or a request could not be written

In a job script:
  spoolrpc drain "$SPOOL" --wait=10m || spoolrpc stop "$SPOOL" --deadline=0s
)";

constexpr char kStopDescription[] =
    R"(Asks servers to stop, as `spoolrpc drain` does, lets calls that run go on for
5 s (--deadline), and waits until the servers are gone: 25 s longer than that,
or as --wait says. A server whose process is dead, or whose lease is silent for
a term, counts as gone; what it left is removed by other servers.

Can be used after `spoolrpc drain`, whose deadline it brings forward.

Exit status:
  0  all are gone, or there was none to stop
  1  one was still there after that time; or there is no server of that id
  2  wrong usage
  3  the spool cannot be used, or a request could not be written

In a job script:
  spoolrpc stop "$SPOOL" || echo "a server still runs" >&2
)";

void Print(const std::string& text) { fwrite(text.data(), 1, text.size(), stdout); }

int Complain(absl::string_view text, int status) {
  fprintf(stderr, "spoolrpc: %s\n", Printable(text).c_str());
  return status;
}

absl::string_view OutcomeName(spool::StopOutcome::State state, bool waited) {
  using State = spool::StopOutcome::State;
  switch (state) {
    case State::kAsked:
      return waited ? "there" : "asked";
    case State::kGone:
      return "gone";
    case State::kDead:
      return "dead";
    case State::kExpired:
      return "expired";
    case State::kFailed:
      break;
  }
  return "failed";
}

StopDocument ToDocument(const spool::Spool& spool, const spool::ServerStopper& stopper,
                        bool waited) {
  StopDocument document;
  document.set_path(Printable(spool.root()));
  for (const spool::StopOutcome& outcome : stopper.outcomes()) {
    StoppedServerDocument* const server = document.add_servers();
    server->set_id(spool::IdName(outcome.server.id));
    server->set_host(Printable(outcome.server.record->process().host()));
    server->set_pid(static_cast<double>(outcome.server.record->process().pid()));
    server->set_outcome(std::string(OutcomeName(outcome.state, waited)));
    server->set_message(Printable(outcome.error.message()));
  }
  return document;
}

std::string ToText(const StopDocument& document) {
  if (document.servers_size() == 0) {
    return absl::StrCat("Spool ", document.path(), ": no server\n");
  }
  std::vector<std::vector<std::string>> rows = {{"SERVER", "HOST", "PID", "OUTCOME"}};
  for (const StoppedServerDocument& server : document.servers()) {
    rows.push_back(
        {server.id(), server.host(), absl::StrCat(server.pid()),
         absl::StrCat(server.outcome(), server.message().empty() ? "" : ": ", server.message())});
  }
  return Table(rows, "");
}

int Run(const std::vector<std::string>& arguments, bool stop) {
  const OptionalDuration wait = absl::GetFlag(FLAGS_wait);
  const OptionalDuration given = absl::GetFlag(FLAGS_deadline);
  const absl::Duration deadline =
      given.given ? given.value : (stop ? kStopDeadline : absl::InfiniteDuration());
  const bool waits = stop || wait.given;
  const absl::Duration timeout = wait.given ? wait.value : deadline + kStopMargin;
  const auto path = spool::ResolveAddress(arguments.empty() ? "" : arguments[0]);
  if (!path.ok()) return Complain(path.status().message(), kExitUsage);
  const auto spool = spool::Spool::Open(os::Environment{}, *path, spool::Transport::kAuto);
  if (!spool.ok()) return Complain(spool.status().message(), kExitUnusable);
  auto servers = spool::ServerList(*spool).Refresh();
  if (!servers.ok()) return Complain(servers.status().message(), kExitUnusable);
  if (const std::string wanted = absl::GetFlag(FLAGS_server); wanted != "all") {
    const auto other = [&](const spool::ServerEntry& server) {
      return !absl::StartsWith(spool::IdName(server.id), wanted);
    };
    servers->erase(std::remove_if(servers->begin(), servers->end(), other), servers->end());
    if (wanted.empty() || servers->size() > 1) {
      return Complain(absl::StrCat("--server=", wanted, ": which one? ", servers->size(),
                                   " servers have an id that begins so"),
                      kExitUsage);
    }
    if (servers->empty()) {
      return Complain(absl::StrCat("no server on ", (*spool)->root(), " has the id ", wanted),
                      kExitNo);
    }
  }
  spool::ServerStopper stopper(*spool);
  stopper.Ask(*servers, deadline);
  const bool gone = waits && stopper.Await(timeout);
  const StopDocument document = ToDocument(**spool, stopper, waits);
  Print(absl::GetFlag(FLAGS_json) ? ToJson(document) : ToText(document));
  for (const spool::StopOutcome& outcome : stopper.outcomes()) {
    if (outcome.state == spool::StopOutcome::State::kFailed) {
      return Complain(absl::StrCat("server ", spool::NameOf(outcome.server),
                                   " could not be asked: ", outcome.error.message()),
                      kExitUnusable);
    }
  }
  if (!waits || gone) return kExitOk;
  return Complain(absl::StrCat("a server on ", (*spool)->root(), " is still there after ",
                               absl::FormatDuration(timeout)),
                  kExitNo);
}

int RunDrain(const std::vector<std::string>& arguments) { return Run(arguments, /*stop=*/false); }
int RunStop(const std::vector<std::string>& arguments) { return Run(arguments, /*stop=*/true); }

}  // namespace

const Command& DrainCommand() {
  static const Command* const command =
      new Command{"drain",
                  "asks servers to take nothing more and to end when they are done",
                  "drain [SPOOL] [--server=ID] [--deadline=TIME] [--wait[=TIME]]",
                  kDrainDescription,
                  {"server", "deadline", "wait", "json"},
                  0,
                  1,
                  RunDrain};
  return *command;
}

const Command& StopCommand() {
  static const Command* const command =
      new Command{"stop",
                  "asks servers to end soon, and waits until they have",
                  "stop [SPOOL] [--server=ID] [--deadline=TIME] [--wait[=TIME]]",
                  kStopDescription,
                  {"server", "deadline", "wait", "json"},
                  0,
                  1,
                  RunStop};
  return *command;
}

}  // namespace spoolrpc::cli
