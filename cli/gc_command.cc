// `spoolrpc gc`: removes what dead processes left in a spool, by the rules of its servers.

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/command_line.h"
#include "cli/exit_codes.h"
#include "cli/status_report.h"
#include "cli/text.h"
#include "spoolrpc/spool/address.h"
#include "spoolrpc/spool/collector.h"
#include "spoolrpc/spool/durable_retention.h"
#include "spoolrpc/spool/durable_store.h"
#include "spoolrpc/status.pb.h"

ABSL_DECLARE_FLAG(bool, json);
ABSL_DECLARE_FLAG(spoolrpc::cli::OptionalDuration, wait);
ABSL_FLAG(bool, dry_run, false, "Remove nothing; print what would be removed.");

namespace spoolrpc::cli {
namespace {

constexpr char kDescription[] =
    R"(Removes what processes left in a spool that are dead: servers' directories,
sessions, temporary names, and durable calls that are past the retention
(`spoolrpc ticket retention`). The spool's servers do the same by themselves;
this is for spools that have none at the moment. It can run while servers and
clients do, and as often as one likes. Prints what it removes, and why.

That a process of this host is dead is known at once. Of others the leases are
watched: a server's for 6 of its terms, an idle client's for 18 (3 minutes).
Without --wait that is left to a run with it, or to a server.

SPOOL is spool:/path or a plain path; without it $SPOOLRPC_DIR, and without
that ~/.cache/spoolrpc. In a spool that is shared with a group everybody
collects what is his own, and root what is anybody's.

Exit status:
  0  all that is known to be left behind was removed, or there was nothing
  1  something could not be removed; the message says what
  2  wrong usage
  3  the spool cannot be used

In a crontab:
  17 3 * * * spoolrpc gc /scratch/me/spool --wait=10m >>gc.log 2>&1
)";

// A pass may find what the one before it has set free.
constexpr int kMaxPasses = 10;
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(200);

int Complain(absl::string_view text, int status) {
  fprintf(stderr, "spoolrpc: %s\n", Printable(text).c_str());
  return status;
}

// One run over a spool.
class Run {
 public:
  Run(const std::shared_ptr<const spool::Spool>& spool, bool dry_run)
      : dry_run_(dry_run),
        store_(spool),
        collector_(spool, {dry_run, SIZE_MAX}),
        retention_(&store_, dry_run, INT_MAX) {}

  absl::Status Pass() {
    const size_t before = leftovers_.size();
    for (int pass = 0; pass < kMaxPasses; ++pass) {
      const size_t so_far = leftovers_.size();
      for (spool::Leftover& leftover :
           collector_.Collect("", [](const std::string&) { return false; })) {
        Add(std::move(leftover));
      }
      if (absl::Status s = CollectCalls(); !s.ok()) return s;
      if (dry_run_ || leftovers_.size() == so_far) break;
    }
    Print(before);
    return absl::OkStatus();
  }
  size_t waiting() const { return collector_.waiting(); }
  const std::vector<spool::Leftover>& leftovers() const { return leftovers_; }
  bool failed() const {
    return std::any_of(leftovers_.begin(), leftovers_.end(),
                       [](const auto& leftover) { return !leftover.status.ok(); });
  }

 private:
  void Add(spool::Leftover leftover) {
    if (seen_.insert(leftover.path).second) leftovers_.push_back(std::move(leftover));
  }
  absl::Status CollectCalls() {
    using Kind = spool::DurableRetention::Kind;
    const auto tickets = store_.List();
    if (!tickets.ok()) return tickets.status();
    std::set<std::string> finished;
    std::vector<std::string> calls;
    for (const std::string& ticket : *tickets) {
      const auto state = store_.Look(ticket);
      if (!state.ok()) continue;
      if (state->call) {
        calls.push_back(ticket);
        if (state->reply) finished.insert(ticket);
        continue;
      }
      if (!store_.MayDelete(ticket)) continue;
      const std::string path = store_.spool().durable_call(ticket);
      Add({path, "the durable call was deleted",
           dry_run_ ? absl::OkStatus() : store_.RemoveRest(ticket)});
    }
    const auto deleted = retention_.Sweep(calls, [&](const std::string& ticket) {
      return finished.count(ticket) > 0 ? Kind::kFinished : Kind::kOther;
    });
    if (!deleted.ok()) return deleted.status();
    for (const std::string& ticket : *deleted) {
      Add({store_.spool().durable_call(ticket), "a durable call past the retention",
           absl::OkStatus()});
    }
    return absl::OkStatus();
  }
  void Print(size_t from) const {
    if (absl::GetFlag(FLAGS_json)) return;
    for (size_t i = from; i < leftovers_.size(); ++i) {
      const spool::Leftover& leftover = leftovers_[i];
      if (leftover.status.ok()) {
        printf("%s %s: %s\n", dry_run_ ? "would remove" : "removed",
               Printable(leftover.path).c_str(), Printable(leftover.reason).c_str());
      } else {
        Complain(absl::StrCat("cannot remove ", leftover.path, ": ", leftover.status.message()), 0);
      }
    }
    fflush(stdout);
  }

  const bool dry_run_;
  const spool::DurableStore store_;
  spool::Collector collector_;
  spool::DurableRetention retention_;
  std::set<std::string> seen_;
  std::vector<spool::Leftover> leftovers_;
};

void PrintJson(const spool::Spool& spool, const Run& run, bool dry_run) {
  GcDocument document;
  document.set_path(Printable(spool.root()));
  document.set_dry_run(dry_run);
  document.set_watched(static_cast<double>(run.waiting()));
  for (const spool::Leftover& leftover : run.leftovers()) {
    LeftoverDocument* const one = document.add_leftovers();
    one->set_path(Printable(leftover.path));
    one->set_reason(Printable(leftover.reason));
    one->set_removed(!dry_run && leftover.status.ok());
    one->set_message(Printable(leftover.status.message()));
  }
  const std::string json = ToJson(document);
  fwrite(json.data(), 1, json.size(), stdout);
}

int RunGc(const std::vector<std::string>& arguments) {
  const OptionalDuration wait = absl::GetFlag(FLAGS_wait);
  const bool dry_run = absl::GetFlag(FLAGS_dry_run);
  const auto path = spool::ResolveAddress(arguments.empty() ? "" : arguments[0]);
  if (!path.ok()) return Complain(path.status().message(), kExitUsage);
  const auto spool = spool::Spool::Open(os::Environment{}, *path, spool::Transport::kAuto);
  if (!spool.ok()) return Complain(spool.status().message(), kExitUnusable);
  Run run(*spool, dry_run);
  const absl::Time deadline = absl::Now() + (wait.given ? wait.value : absl::ZeroDuration());
  for (;;) {
    if (absl::Status s = run.Pass(); !s.ok()) return Complain(s.message(), kExitUnusable);
    const absl::Time now = absl::Now();
    if (run.waiting() == 0 || now >= deadline) break;
    absl::SleepFor(std::min(kBetweenLooks, deadline - now));
  }
  if (absl::GetFlag(FLAGS_json)) {
    PrintJson(**spool, run, dry_run);
  } else {
    if (run.leftovers().empty()) printf("nothing to remove in %s\n", (*spool)->root().c_str());
    if (run.waiting() > 0) {
      Complain(absl::StrCat(Plural(run.waiting(), "lease"),
                            " of other hosts' processes did not move while they were watched; ",
                            wait.given ? "a longer --wait" : "--wait", " tells who is dead"),
               0);
    }
  }
  return run.failed() ? kExitNo : kExitOk;
}

}  // namespace

const Command& GcCommand() {
  static const Command* const command =
      new Command{"gc",
                  "removes what dead processes left behind",
                  "gc [SPOOL] [--dry-run] [--wait[=DURATION]] [--json]",
                  kDescription,
                  {"dry_run", "wait", "json"},
                  0,
                  1,
                  RunGc};
  return *command;
}

}  // namespace spoolrpc::cli
