#include "spoolrpc/spool/query.h"

#include <poll.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/address.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc {
namespace {

using spool::Join;

absl::StatusOr<log::LogHead> ReadHeadOf(const spool::Spool& spool, const std::string& path) {
  bool direct = false;
  log::AlignedBuffer buffer(log::kHeadSize);
  auto file = log::OpenLogForReading(spool.env().calls, path, spool.access(), &direct);
  if (!file.ok()) return file.status();
  return log::ReadHead(**file, direct, &buffer);
}

std::vector<SessionStatus> SessionsOf(const spool::Spool& spool,
                                      const spool::ServerEntry& server) {
  std::vector<SessionStatus> sessions;
  const std::string directory = Join(server.directory, spool::kSessions);
  const auto names = os::ListDirectory(spool.env().calls, directory);
  if (!names.ok()) return sessions;
  for (const std::string& name : *names) {
    std::string id;
    if (!spool::ParseIdName(name, &id)) continue;
    SessionStatus session;
    session.id = name;
    spool::SessionRecord record;
    if (spool::ReadRecord(spool.env().calls, Join(spool.session(id), spool::kRecord),
                          spool::RecordKind::kSession, &record)
            .ok()) {
      session.client_host = record.process().host();
      session.client_pid = record.process().pid();
      session.client_uid = record.process().uid();
    }
    if (const auto head = ReadHeadOf(spool, Join(spool.session(id), spool::kRequests));
        head.ok()) {
      session.request_bytes = head->flushed;
    }
    if (const auto head = ReadHeadOf(spool, Join(Join(directory, name), spool::kResponses));
        head.ok()) {
      session.response_bytes = head->flushed;
    }
    sessions.push_back(std::move(session));
  }
  std::sort(sessions.begin(), sessions.end(),
            [](const SessionStatus& a, const SessionStatus& b) { return a.id < b.id; });
  return sessions;
}

ServerStatus StatusOf(const spool::Spool& spool, const spool::ServerEntry& server) {
  ServerStatus status;
  const spool::ServerRecord& record = *server.record;
  status.id = spool::IdName(server.id);
  status.host = record.process().host();
  status.pid = record.process().pid();
  status.uid = record.process().uid();
  status.software_version = record.software_version();
  status.started = absl::FromUnixSeconds(record.started_at());
  status.uptime = spool.env().clock->WallTime() - status.started;
  status.lease_term = absl::Nanoseconds(record.lease_term_ns());
  status.lease_age = absl::InfiniteDuration();
  for (const auto& service : record.services()) status.services.push_back(service.name());
  status.log_path = Join(spool.logs(), absl::StrCat(status.id, ".log"));
  status.sessions = SessionsOf(spool, server);
  return status;
}

}  // namespace

absl::string_view StateName(ServerStatus::State state) {
  switch (state) {
    case ServerStatus::State::kServing:
      return "serving";
    case ServerStatus::State::kDraining:
      return "draining";
    case ServerStatus::State::kStopped:
      return "stopped";
    case ServerStatus::State::kDead:
      return "dead";
    case ServerStatus::State::kUnresponsive:
      return "unresponsive";
  }
  return "?";
}

absl::StatusOr<SpoolStatus> QuerySpool(absl::string_view address, const QueryOptions& options) {
  const auto path = spool::ResolveAddress(address);
  if (!path.ok()) return path.status();
  const auto opened = spool::Spool::Open(os::Environment{}, *path, spool::Transport::kAuto);
  if (!opened.ok()) return opened.status();
  const spool::Spool& spool = **opened;
  SpoolStatus result;
  result.path = spool.root();
  result.file_system = spool.file_system().name;
  result.local = spool.file_system().local;
  const auto servers = spool::ServerList(*opened).Refresh(&result.problems);
  if (!servers.ok()) return servers.status();

  struct Seen {
    uint64_t counter = 0;
    os::Nanos moved = -1;
  };
  std::map<std::string, Seen> seen;
  const os::Nanos began = spool.env().clock->Now();
  const os::Nanos end = os::After(began, options.watch);
  for (bool first = true;; first = false) {
    bool all_known = true;
    for (const spool::ServerEntry& server : *servers) {
      const auto head = ReadHeadOf(spool, Join(server.directory, spool::kLease));
      if (!head.ok()) continue;
      Seen& s = seen[server.id];
      if (!first && head->counter != s.counter) s.moved = spool.env().clock->Now();
      s.counter = head->counter;
      if (server.liveness == os::Liveness::kUnknown && s.moved < 0) all_known = false;
    }
    const os::Nanos now = spool.env().clock->Now();
    if (all_known || now >= end) break;
    poll(nullptr, 0, static_cast<int>(std::min<os::Nanos>((end - now) / 1000000 + 1, 100)));
  }
  const os::Nanos now = spool.env().clock->Now();
  for (const spool::ServerEntry& server : *servers) {
    ServerStatus status = StatusOf(spool, server);
    const Seen& s = seen[server.id];
    if (s.moved >= 0) status.lease_age = absl::Nanoseconds(now - s.moved);
    if (const auto head = ReadHeadOf(spool, Join(server.directory, spool::kLease)); head.ok()) {
      // A lease has no ring: its writer keeps the number of calls it has served there.
      status.calls_served = head->flushed;
      if (head->state == log::WriterState::kDraining) {
        status.state = ServerStatus::State::kDraining;
      } else if (head->state == log::WriterState::kClosed) {
        status.state = ServerStatus::State::kStopped;
      }
    }
    if (server.liveness == os::Liveness::kDead) {
      status.state = ServerStatus::State::kDead;
    } else if (server.liveness == os::Liveness::kUnknown &&
               options.watch > absl::ZeroDuration() && s.moved < 0) {
      status.state = ServerStatus::State::kUnresponsive;
    }
    result.servers.push_back(std::move(status));
  }
  std::sort(result.servers.begin(), result.servers.end(),
            [](const ServerStatus& a, const ServerStatus& b) { return a.id < b.id; });
  return result;
}

}  // namespace spoolrpc
