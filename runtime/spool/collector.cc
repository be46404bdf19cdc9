#include "spoolrpc/spool/collector.h"

#include <unistd.h>

#include <set>

#include "absl/strings/match.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/server_directory.h"

namespace spoolrpc::spool {
namespace {

// An idle client renews every 6 terms, a server every quarter.
constexpr int kTermsOfServer = 6;
constexpr int kTermsOfIdleSession = 18;
constexpr os::Nanos kTemporaryAge = os::Nanos{3600} * 1000000000;

}  // namespace

void Collector::Remove(const std::string& path) {
  if (os::RemoveTree(spool_->env().calls, path).ok()) removed_.push_back(path);
}

bool Collector::Expired(const std::string& key, const std::string& path, uint64_t term_ns,
                        int terms) {
  const os::Nanos now = spool_->env().clock->Now();
  bool direct = false;
  log::AlignedBuffer buffer(log::kHeadSize);
  auto file = log::OpenLogForReading(spool_->env().calls, path, spool_->access(), &direct);
  if (!file.ok()) return false;
  const auto head = log::ReadHead(**file, direct, &buffer);
  if (!head.ok()) return false;
  Watched& watched = watched_[key];
  if (!watched.seen || watched.counter != head->counter) {
    watched = {head->counter, now, true};
    return false;
  }
  return now - watched.since > static_cast<os::Nanos>(term_ns) * terms;
}

void Collector::CollectServers(const std::string& own_server_id) {
  const auto servers = ServerList(spool_).Refresh();
  if (!servers.ok()) return;
  for (const ServerEntry& server : *servers) {
    if (server.id == own_server_id) continue;
    if (server.liveness == os::Liveness::kAlive) continue;
    // Another user's files are his to remove.
    if (server.uid != geteuid() && geteuid() != 0) continue;
    if (server.liveness == os::Liveness::kDead ||
        Expired(server.id, Join(server.directory, kLease), server.record->lease_term_ns(),
                kTermsOfServer)) {
      removed_.push_back(server.directory);
      RemoveServerFiles(*spool_, server.directory);
    }
  }
  // What could not be removed so far has no record any more.
  os::SystemCalls* const calls = spool_->env().calls;
  const auto names = os::ListDirectory(calls, spool_->servers());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    std::string id;
    if (!ParseIdName(name, &id) || id == own_server_id) continue;
    const std::string directory = Join(spool_->servers(), name);
    if (absl::IsNotFound(os::StatPath(calls, Join(directory, kRecord)).status())) {
      RemoveServerFiles(*spool_, directory);
    }
  }
}

void Collector::RemoveIfClientIsDead(const std::string& id, const std::string& path,
                                     const SessionRecord& record) {
  const os::Liveness client = spool_->env().host->Look(ToProcessId(record.process()));
  if (client == os::Liveness::kAlive) return;
  if (client == os::Liveness::kDead ||
      Expired(id, Join(path, kRequests), record.lease_term_ns(), kTermsOfIdleSession)) {
    Remove(path);
  }
}

void Collector::CollectSessions(const std::string& own_server_id, ServesFn serves) {
  os::SystemCalls* const calls = spool_->env().calls;
  const auto names = os::ListDirectory(calls, spool_->sessions());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    std::string id;
    if (!ParseIdName(name, &id)) continue;
    const std::string path = Join(spool_->sessions(), name);
    const auto info = os::StatPath(calls, path);
    if (!info.ok() || info->type != os::FileInfo::Type::kDirectory ||
        (info->uid != geteuid() && geteuid() != spool_->owner() && geteuid() != 0)) {
      continue;
    }
    SessionRecord record;
    const absl::Status read = ReadRecord(calls, Join(path, kRecord), RecordKind::kSession, &record);
    // It was complete when its name appeared: somebody died while he removed it.
    if (absl::IsNotFound(read)) Remove(path);
    if (!read.ok()) continue;
    if (record.server_id() == own_server_id) {
      if (serves(id)) continue;
      // Its client may have died before it announced the session.
    } else if (record.server_id().size() == kIdSize &&
               os::StatPath(calls, Join(spool_->server(record.server_id()), kRecord)).ok()) {
      continue;  // that server sees to it
    }
    RemoveIfClientIsDead(id, path, record);
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
      Remove(Join(directory, name));
    }
  }
}

void Collector::CollectTemporaries(const std::string& directory) {
  const auto names = os::ListDirectory(spool_->env().calls, directory);
  if (!names.ok()) return;
  const os::Nanos now = spool_->env().clock->Now();
  for (const std::string& name : *names) {
    if (!absl::StartsWith(name, ".tmp-")) continue;
    const std::string path = Join(directory, name);
    switch (os::LookAtMaker(*spool_->env().host, name)) {
      case os::Liveness::kAlive:
        break;
      case os::Liveness::kDead:
        Remove(path);
        break;
      case os::Liveness::kUnknown: {
        // By this process's own clock, from when it first saw the name.
        const auto [it, fresh] = temporaries_.emplace(path, now);
        if (!fresh && now - it->second > kTemporaryAge) {
          Remove(path);
          temporaries_.erase(it);
        }
        break;
      }
    }
  }
}

std::vector<std::string> Collector::CollectOwn() {
  removed_.clear();
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
    if (absl::IsNotFound(read)) Remove(path);
    if (read.ok()) RemoveIfClientIsDead(id, path, record);
  }
  for (const std::string& directory : {spool_->sessions(), spool_->durable()}) {
    CollectTemporaries(directory);
  }
  return std::move(removed_);
}

std::vector<std::string> Collector::Collect(const std::string& own_server_id, ServesFn serves) {
  removed_.clear();
  // Sessions first, then the servers that had to keep a verdict for them.
  CollectSessions(own_server_id, serves);
  CollectServers(own_server_id);
  if (!own_server_id.empty()) {
    CollectVerdicts(own_server_id, serves);
    const std::string own = spool_->server(own_server_id);
    // (Clients touch the inbox.)
    for (const std::string& directory : {own, Join(own, kInbox), Join(own, kVerdicts)}) {
      CollectTemporaries(directory);
    }
  }
  for (const std::string& directory :
       {spool_->root(), spool_->servers(), spool_->sessions(), spool_->durable()}) {
    CollectTemporaries(directory);
  }
  return std::move(removed_);
}

}  // namespace spoolrpc::spool
