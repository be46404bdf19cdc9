#include "spoolrpc/spool/collector.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/durable_store.h"
#include "spoolrpc/spool/reason.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/server_directory.h"

namespace spoolrpc::spool {
namespace {

// An idle client renews every 6 terms, a server every quarter.
constexpr int kTermsOfServer = 6;
constexpr int kTermsOfIdleSession = 18;
constexpr uint64_t kUsualTerm = uint64_t{10} * 1000000000;
constexpr int64_t kHour = int64_t{3600} * 1000000000;
// Names of files that an NFS client has removed and somebody on its host still had open.
constexpr char kSillyRenamed[] = ".nfs";

}  // namespace

// ---------------------------------------------------------------- removing

void Collector::Remove(const std::string& path, const std::string& reason) {
  Leftover leftover{path, reason, absl::OkStatus()};
  if (!options_.dry_run) leftover.status = os::RemoveTree(spool_->env().calls, path);
  leftovers_.push_back(std::move(leftover));
}

void Collector::RemoveServer(const std::string& directory, const std::string& reason) {
  // (What has to stay for a client that lives is no failure.)
  if (!options_.dry_run) RemoveServerFiles(*spool_, directory);
  leftovers_.push_back({directory, reason, absl::OkStatus()});
}

bool Collector::MayRemove(uint32_t uid) const {
  return uid == geteuid() || geteuid() == spool_->owner() || geteuid() == 0;
}

// ---------------------------------------------------------------- leases

bool Collector::Expired(const std::string& key, const std::string& path, uint64_t term_ns,
                        int terms) {
  const os::Nanos now = spool_->env().clock->Now();
  bool direct = false;
  uint64_t counter = 0;
  log::AlignedBuffer buffer(log::kHeadSize);
  // What is no file at all is nobody's lease, and as silent as none.
  const auto there = os::StatPath(spool_->env().calls, path);
  const bool other = there.ok() && there->type != os::FileInfo::Type::kFile;
  const auto file =
      other ? absl::NotFoundError(path)
            : log::OpenLogForReading(spool_->env().calls, path, spool_->access(), &direct);
  if (file.ok()) {
    const auto head = log::ReadHead(**file, direct, &buffer);
    if (head.ok()) {
      counter = head->counter;
      if (term_ns == 0) term_ns = std::max(head->term_ns, kUsualTerm);
    } else if (!absl::IsDataLoss(head.status())) {
      return false;
    }
  } else if (!absl::IsNotFound(file.status())) {
    return false;
  }
  if (term_ns == 0) term_ns = kUsualTerm;
  const auto [it, fresh] = watched_.try_emplace(key);
  Watched& watched = it->second;
  watched.look = looks_;
  if (fresh || watched.counter != counter) {
    watched.settled = !fresh;
    watched.counter = counter;
    watched.since = now;
    return false;
  }
  const auto term =
      static_cast<os::Nanos>(std::min<uint64_t>(term_ns, static_cast<uint64_t>(os::kNever)));
  const bool expired = (now - watched.since) / terms > term;
  watched.settled = watched.settled || expired;
  return expired;
}

std::optional<std::string> Collector::Abandoned(const std::string& what,
                                                const os::ProcessId& process,
                                                const std::string& key, const std::string& lease,
                                                uint64_t term_ns, int terms) {
  const auto who = [&] {
    return absl::StrCat(what, ", pid ", process.pid, " on ", absl::Utf8SafeCEscape(process.host));
  };
  switch (spool_->env().host->Look(process)) {
    case os::Liveness::kAlive:
      return std::nullopt;
    case os::Liveness::kDead:
      return absl::StrCat(who(), ", is dead");
    case os::Liveness::kUnknown:
      break;
  }
  if (!Expired(key, lease, term_ns, terms)) return std::nullopt;
  return absl::StrCat(who(), ", has not renewed its lease for ", terms, " terms");
}

size_t Collector::waiting() const {
  return std::count_if(watched_.begin(), watched_.end(),
                       [](const auto& entry) { return !entry.second.settled; });
}

// ---------------------------------------------------------------- servers

void Collector::FindDeadServers(const std::string& own_server_id) {
  dead_servers_.clear();
  os::SystemCalls* const calls = spool_->env().calls;
  const auto names = os::ListDirectory(calls, spool_->servers());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    std::string id;
    if (!ParseIdName(name, &id) || id == own_server_id) continue;
    const std::string directory = Join(spool_->servers(), name);
    const auto info = os::StatPath(calls, directory);
    // (What a stranger has put there is no server.)
    if (!info.ok() || !spool_->MayServe(info->uid)) continue;
    ServerRecord record;
    const absl::Status read =
        ReadRecordOf(calls, Join(directory, kRecord), RecordKind::kServer, info->uid, &record);
    std::optional<std::string> why;
    if (read.ok() && record.server_id() == id) {
      why = Abandoned("its server", ToProcessId(record.process()), id, Join(directory, kLease),
                      record.lease_term_ns(), kTermsOfServer);
    } else if (absl::IsNotFound(read)) {
      // It was complete when its name appeared.
      if (os::StatPath(calls, directory).ok()) why = "somebody began to remove it";
    } else if (read.ok() || absl::IsDataLoss(read)) {
      // Nobody can use it. It may be read again, though, until its lease says otherwise.
      if (Expired(id, Join(directory, kLease), 0, kTermsOfIdleSession)) {
        why = absl::StrCat("its record is damaged, and nobody has renewed its lease for ",
                           kTermsOfIdleSession, " terms");
      }
    }
    if (why.has_value()) dead_servers_[id] = *std::move(why);
  }
}

void Collector::CollectServers() {
  os::SystemCalls* const calls = spool_->env().calls;
  for (const auto& [id, why] : dead_servers_) {
    const std::string directory = spool_->server(id);
    const auto info = os::StatPath(calls, directory);
    if (!info.ok()) continue;
    if (info->type != os::FileInfo::Type::kDirectory) continue;
    // Another user's files are his to remove.
    if (info->uid != geteuid() && geteuid() != 0) continue;
    // What waits for clients that live stays without a record, and is not news each time.
    const bool again = absl::IsNotFound(os::StatPath(calls, Join(directory, kRecord)).status());
    if (!again) {
      RemoveServer(directory, why);
    } else if (options_.dry_run || RemoveServerFiles(*spool_, directory)) {
      leftovers_.push_back({directory, why, absl::OkStatus()});
    }
  }
}

// ---------------------------------------------------------------- sessions

std::optional<std::string> Collector::AbandonedByClient(const std::string& id,
                                                        const SessionRecord& record) {
  return Abandoned("its client", ToProcessId(record.process()), id,
                   Join(spool_->session(id), kRequests), record.lease_term_ns(),
                   kTermsOfIdleSession);
}

bool Collector::ServerSeesToIt(const SessionRecord& record, uint32_t session_uid) const {
  if (record.server_id().size() != kIdSize || dead_servers_.count(record.server_id()) > 0) {
    return false;
  }
  const auto server =
      os::StatPath(spool_->env().calls, Join(spool_->server(record.server_id()), kRecord));
  if (!server.ok()) return false;
  // In a group's spool only the session's user and root can.
  const bool can = !spool_->group().has_value() || server->uid == session_uid || server->uid == 0;
  return can || (session_uid != geteuid() && geteuid() != 0);
}

void Collector::CollectSession(const std::string& id, const std::string& own_server_id,
                               ServesFn serves) {
  // (Before any file is touched: there may be a thousand of them.)
  if (serves(id)) return;
  os::SystemCalls* const calls = spool_->env().calls;
  const std::string path = spool_->session(id);
  const auto info = os::StatPath(calls, path);
  if (!info.ok() || info->type != os::FileInfo::Type::kDirectory || !MayRemove(info->uid)) return;
  SessionRecord record;
  const absl::Status read =
      ReadRecordOf(calls, Join(path, kRecord), RecordKind::kSession, info->uid, &record);
  if (absl::IsNotFound(read)) {
    // It was complete when its name appeared.
    if (os::StatPath(calls, path).ok()) Remove(path, "somebody began to remove it");
    return;
  }
  // (What is no file, has several links or is somebody else's was put there by no client.)
  const bool newer = absl::IsFailedPrecondition(read) &&
                     ReasonOf(read, ErrorInfo::REASON_UNSPECIFIED) == ErrorInfo::VERSION_MISMATCH;
  if (absl::IsDataLoss(read) || absl::IsPermissionDenied(read) ||
      (absl::IsFailedPrecondition(read) && !newer)) {
    if (Expired(id, Join(path, kRequests), 0, kTermsOfIdleSession)) {
      Remove(path, absl::StrCat("its record is damaged, and nobody has renewed its lease for ",
                                kTermsOfIdleSession, " terms"));
    }
    return;
  }
  if (!read.ok()) return;
  // (One of this server's own that it does not serve: its client may have died before it announced
  // it.)
  if (record.server_id() != own_server_id && ServerSeesToIt(record, info->uid)) return;
  if (const auto why = AbandonedByClient(id, record); why.has_value()) Remove(path, *why);
}

void Collector::CollectSessions(const std::string& own_server_id, ServesFn serves) {
  const auto names = os::ListDirectory(spool_->env().calls, spool_->sessions());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (std::string id; ParseIdName(name, &id)) CollectSession(id, own_server_id, serves);
  }
}

void Collector::CollectVerdicts(const std::string& own_server_id, ServesFn serves) {
  // A verdict whose session is gone, such as one that was withdrawn before the server looked, says
  // nothing to anybody any more: names are never used twice.
  os::SystemCalls* const calls = spool_->env().calls;
  const std::string directory = Join(spool_->server(own_server_id), kVerdicts);
  const auto names = os::ListDirectory(calls, directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    std::string id;
    if (!ParseIdName(name, &id) || serves(id)) continue;
    if (absl::IsNotFound(os::StatPath(calls, spool_->session(id)).status())) {
      Remove(Join(directory, name), "its session is gone");
    }
  }
}

// ---------------------------------------------------------------- temporary names

bool Collector::OlderThanAnHour(const std::string& path) {
  if (!file_time_.has_value()) {
    const auto now = DurableStore(spool_).Now();
    if (!now.ok()) return false;
    file_time_ = *now;
  }
  const auto info = os::StatPath(spool_->env().calls, path);
  return info.ok() && *file_time_ - info->modified_ns > kHour;
}

void Collector::CollectTemporaries(const std::string& directory, bool spools_own) {
  const auto names = os::ListDirectory(spool_->env().calls, directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::string path = Join(directory, name);
    const bool temporary = absl::StartsWith(name, ".tmp-");
    if (!temporary && !(spools_own && absl::StartsWith(name, kSillyRenamed))) continue;
    const auto info = os::StatPath(spool_->env().calls, path);
    if (!info.ok() || !MayRemove(info->uid)) continue;
    if (temporary) {
      const os::Liveness maker = os::LookAtMaker(*spool_->env().host, name);
      if (maker == os::Liveness::kDead) {
        Remove(path, "a temporary name whose maker is dead");
      } else if (maker == os::Liveness::kUnknown && OlderThanAnHour(path)) {
        Remove(path, "a temporary name of another host that is older than an hour");
      }
    } else if (OlderThanAnHour(path)) {
      Remove(path, "removed over an hour ago while an NFS client had it open");
    }
  }
}

void Collector::CollectCalls() {
  const auto names = os::ListDirectory(spool_->env().calls, spool_->durable());
  if (!names.ok()) return;
  std::set<std::string> tickets;
  for (const std::string& name : *names) {
    if (std::string ticket; ParseIdName(name, &ticket)) tickets.insert(name);
  }
  auto it = tickets.upper_bound(calls_done_);
  for (size_t i = 0; i < options_.max_calls && it != tickets.end(); ++i, ++it) {
    CollectTemporaries(Join(spool_->durable(), *it), /*spools_own=*/false);
    calls_done_ = *it;
  }
  if (it == tickets.end()) calls_done_.clear();
}

// ---------------------------------------------------------------- looks

void Collector::BeginLook() {
  ++looks_;
  leftovers_.clear();
  file_time_.reset();
}

std::vector<Leftover> Collector::EndLook() {
  // What this look did not ask for is gone, or is known otherwise now.
  for (auto it = watched_.begin(); it != watched_.end();) {
    it = it->second.look == looks_ ? std::next(it) : watched_.erase(it);
  }
  return std::move(leftovers_);
}

std::vector<Leftover> Collector::CollectOwn() {
  BeginLook();
  os::SystemCalls* const calls = spool_->env().calls;
  const auto names = os::ListDirectory(calls, spool_->sessions());
  if (!names.ok()) return {};
  for (const std::string& name : *names) {
    std::string id;
    if (!ParseIdName(name, &id)) continue;
    const std::string path = Join(spool_->sessions(), name);
    const auto info = os::StatPath(calls, path);
    if (!info.ok() || info->uid != geteuid()) continue;
    SessionRecord record;
    const absl::Status read =
        ReadRecordOf(calls, Join(path, kRecord), RecordKind::kSession, geteuid(), &record);
    if (absl::IsNotFound(read)) {
      // It was complete when its name appeared.
      if (os::StatPath(calls, path).ok()) Remove(path, "somebody began to remove it");
    } else if (read.ok()) {
      if (const auto why = AbandonedByClient(id, record); why.has_value()) Remove(path, *why);
    }
  }
  for (const std::string& directory : {spool_->sessions(), spool_->durable()}) {
    CollectTemporaries(directory, /*spools_own=*/false);
  }
  return EndLook();
}

std::vector<Leftover> Collector::Collect(const std::string& own_server_id, ServesFn serves) {
  BeginLook();
  FindDeadServers(own_server_id);
  // Sessions first, then the servers that had to keep a verdict for them.
  CollectSessions(own_server_id, serves);
  CollectServers();
  if (!own_server_id.empty()) {
    CollectVerdicts(own_server_id, serves);
    const std::string own = spool_->server(own_server_id);
    CollectTemporaries(own, /*spools_own=*/false);
    // (Clients touch the inbox.)
    CollectTemporaries(Join(own, kInbox), /*spools_own=*/true);
    CollectTemporaries(Join(own, kVerdicts), /*spools_own=*/true);
  }
  CollectTemporaries(spool_->root(), /*spools_own=*/false);
  for (const std::string& directory : {spool_->servers(), spool_->sessions(), spool_->durable()}) {
    CollectTemporaries(directory, /*spools_own=*/true);
  }
  CollectCalls();
  return EndLook();
}

}  // namespace spoolrpc::spool
