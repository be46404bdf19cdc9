#include "spoolrpc/spool/stop_servers.h"

#include <poll.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/stop_request.h"

namespace spoolrpc::spool {
namespace {

constexpr int kPauseMilliseconds = 20;

// The server's record is gone, its directory opened anew.
bool RecordGone(const Spool& spool, const ServerEntry& server) {
  const auto names = os::ListDirectory(spool.env().calls, server.directory);
  if (!names.ok()) return absl::IsNotFound(names.status());
  return std::find(names->begin(), names->end(), kRecord) == names->end();
}

}  // namespace

std::string NameOf(const ServerEntry& server) {
  return absl::StrCat(IdName(server.id), " on ",
                      absl::Utf8SafeCEscape(server.record->process().host()), ", pid ",
                      server.record->process().pid());
}

void ServerStopper::Ask(const std::vector<ServerEntry>& servers, absl::Duration deadline) {
  for (const ServerEntry& server : servers) {
    StopOutcome outcome;
    outcome.server = server;
    if (server.liveness == os::Liveness::kDead) {
      outcome.state = StopOutcome::State::kDead;
    } else if (absl::Status asked = AskToStop(*spool_, server, deadline); absl::IsNotFound(asked)) {
      outcome.state = StopOutcome::State::kGone;
    } else if (!asked.ok()) {
      outcome.state = StopOutcome::State::kFailed;
      outcome.error = std::move(asked);
    }
    outcomes_.push_back(std::move(outcome));
  }
}

void ServerStopper::Look() {
  for (StopOutcome& outcome : outcomes_) {
    if (outcome.state != StopOutcome::State::kAsked) continue;
    const ServerRecord& record = *outcome.server.record;
    if (RecordGone(*spool_, outcome.server)) {
      outcome.state = StopOutcome::State::kGone;
    } else if (watch_.Look(outcome.server.id, record.process(), record.lease_term_ns()) ==
               OwnerWatch::Life::kGone) {
      const bool dead =
          spool_->env().host->Look(ToProcessId(record.process())) == os::Liveness::kDead;
      outcome.state = dead ? StopOutcome::State::kDead : StopOutcome::State::kExpired;
    }
  }
}

bool ServerStopper::Await(absl::Duration timeout) {
  const os::Nanos deadline = os::After(spool_->env().clock->Now(), timeout);
  for (;;) {
    Look();
    const bool waiting = std::any_of(
        outcomes_.begin(), outcomes_.end(),
        [](const StopOutcome& outcome) { return outcome.state == StopOutcome::State::kAsked; });
    if (!waiting || spool_->env().clock->Now() >= deadline) break;
    poll(nullptr, 0, kPauseMilliseconds);
  }
  return std::all_of(outcomes_.begin(), outcomes_.end(),
                     [](const StopOutcome& outcome) { return outcome.over(); });
}

}  // namespace spoolrpc::spool
