#include "spoolrpc/spool/query.h"

#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/address.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc {
namespace {

using spool::Join;

// A server renews its lease every quarter of a term; a reader may learn of it a little later.
constexpr double kTermsWatched = 1.2;
// A head that is being rewritten may be read torn.
constexpr int kHeadReadings = 3;
constexpr absl::Duration kFirstPause = absl::Milliseconds(10);
constexpr absl::Duration kLongestPauseLocal = absl::Milliseconds(200);
constexpr absl::Duration kLongestPauseNetwork = absl::Seconds(1);

void Sleep(absl::Duration duration) {
  const int64_t milliseconds =
      absl::ToInt64Milliseconds(absl::Ceil(duration, absl::Milliseconds(1)));
  if (milliseconds > 0) poll(nullptr, 0, static_cast<int>(std::min<int64_t>(milliseconds, 1000)));
}

absl::StatusOr<log::LogHead> ReadHeadOf(const spool::Spool& spool, const std::string& path) {
  bool direct = false;
  log::AlignedBuffer buffer(log::kHeadSize);
  auto file = log::OpenLogForReading(spool.env().calls, path, spool.access(), &direct);
  if (!file.ok()) return file.status();
  absl::StatusOr<log::LogHead> head;
  for (int i = 0; i < kHeadReadings; ++i) {
    head = log::ReadHead(**file, direct, &buffer);
    if (head.ok() || !absl::IsDataLoss(head.status())) break;
  }
  return head;
}

SessionStatus::Client ToClient(os::Liveness liveness) {
  switch (liveness) {
    case os::Liveness::kAlive:
      return SessionStatus::Client::kAlive;
    case os::Liveness::kDead:
      return SessionStatus::Client::kDead;
    case os::Liveness::kUnknown:
      break;
  }
  return SessionStatus::Client::kUnknown;
}

SessionStatus SessionOf(const spool::Spool& spool, const std::string& halves,
                        const std::string& name) {
  SessionStatus session;
  session.id = name;
  const std::string client_half = Join(spool.sessions(), name);
  if (const auto info = os::StatPath(spool.env().calls, client_half); info.ok()) {
    session.client_uid = info->uid;
  }
  spool::SessionRecord record;
  if (spool::ReadRecord(spool.env().calls, Join(client_half, spool::kRecord),
                        spool::RecordKind::kSession, &record)
          .ok()) {
    session.client = ToClient(spool.env().host->Look(spool::ToProcessId(record.process())));
    session.client_host = record.process().host();
    session.client_pid = record.process().pid();
  }
  if (const auto head = ReadHeadOf(spool, Join(client_half, spool::kRequests)); head.ok()) {
    session.request_bytes = head->flushed;
  }
  if (const auto head = ReadHeadOf(spool, Join(Join(halves, name), spool::kResponses)); head.ok()) {
    session.response_bytes = head->flushed;
  }
  return session;
}

// Counts all sessions by their names alone, and looks at the first few.
void AddSessions(const spool::Spool& spool, const std::string& server_directory,
                 size_t max_sessions, ServerStatus* status) {
  const std::string halves = Join(server_directory, spool::kSessions);
  const auto names = os::ListDirectory(spool.env().calls, halves);
  if (!names.ok()) return;
  std::vector<std::string> sessions;
  for (const std::string& name : *names) {
    std::string id;
    if (spool::ParseIdName(name, &id)) sessions.push_back(name);
  }
  status->session_count = sessions.size();
  std::sort(sessions.begin(), sessions.end());
  if (sessions.size() > max_sessions) sessions.resize(max_sessions);
  for (const std::string& name : sessions) {
    status->sessions.push_back(SessionOf(spool, halves, name));
  }
}

// Looks at a spool again and again, and remembers what it saw of the leases. Not thread-safe.
class Observer {
 public:
  // `watch` as QueryOptions has it.
  Observer(std::string path, const os::Environment& env, absl::Duration watch)
      : path_(std::move(path)), env_(env), watch_(watch) {}

  // NOT_FOUND: there is no spool, as far as can be seen.
  absl::StatusOr<SpoolStatus> Look(size_t max_sessions);
  // False while the last look left a server of which only watching on can tell whether it lives.
  bool settled() const { return settled_; }
  bool network() const { return spool_ != nullptr && !spool_->file_system().local; }

 private:
  // What was seen of a lease whose age the file system does not tell.
  struct Lease {
    os::Nanos first_seen = 0;
    os::Nanos moved = -1;  // when the counter was seen to move
    uint64_t counter = 0;
  };

  ServerStatus StatusOf(const spool::ServerEntry& server, std::vector<std::string>* problems);
  // Of a lease whose head has just been read; infinite: not known.
  absl::Duration AgeOf(const spool::ServerEntry& server, uint64_t counter);
  // Whether the lease has stood still for so long that its server counts as unresponsive.
  bool Silent(const spool::ServerEntry& server, const ServerStatus& status);

  const std::string path_;
  const os::Environment env_;
  const absl::Duration watch_;
  std::shared_ptr<const spool::Spool> spool_;
  std::unique_ptr<spool::ServerList> list_;
  std::map<std::string, Lease> leases_;
  bool settled_ = true;
};

absl::Duration Observer::AgeOf(const spool::ServerEntry& server, uint64_t counter) {
  if (spool_->file_system().local) {
    // Host and file system share one clock.
    struct stat s;
    if (env_.calls->Lstat(Join(server.directory, spool::kLease).c_str(), &s) == 0) {
      return std::max(absl::ZeroDuration(),
                      env_.clock->WallTime() - absl::TimeFromTimespec(s.st_mtim));
    }
  }
  const os::Nanos now = env_.clock->Now();
  const auto [it, fresh] = leases_.emplace(server.id, Lease{now, -1, counter});
  Lease& lease = it->second;
  if (!fresh && lease.counter != counter) {
    lease.counter = counter;
    lease.moved = now;
  }
  return lease.moved < 0 ? absl::InfiniteDuration() : absl::Nanoseconds(now - lease.moved);
}

bool Observer::Silent(const spool::ServerEntry& server, const ServerStatus& status) {
  if (spool_->file_system().local && status.lease_age != absl::InfiniteDuration()) {
    return status.lease_age > status.lease_term;
  }
  if (watch_ <= absl::ZeroDuration()) return false;
  const absl::Duration enough = status.lease_term * kTermsWatched;
  if (status.lease_age != absl::InfiniteDuration()) return status.lease_age > enough;
  // Not seen to move so far. It may just have been renewed when the watching began.
  const auto lease = leases_.find(server.id);
  if (lease != leases_.end() &&
      absl::Nanoseconds(env_.clock->Now() - lease->second.first_seen) < std::min(enough, watch_)) {
    settled_ = false;
  }
  return true;
}

ServerStatus Observer::StatusOf(const spool::ServerEntry& server,
                                std::vector<std::string>* problems) {
  ServerStatus status;
  const spool::ServerRecord& record = *server.record;
  status.id = spool::IdName(server.id);
  status.directory = server.directory;
  status.host = record.process().host();
  status.pid = record.process().pid();
  status.uid = server.uid;
  status.software_version = record.software_version();
  status.started = absl::FromUnixSeconds(record.started_at());
  status.uptime = env_.clock->WallTime() - status.started;
  status.lease_term = absl::Nanoseconds(record.lease_term_ns());
  for (const auto& service : record.services()) status.services.push_back(service.name());
  status.log_path = Join(spool_->logs(), absl::StrCat(status.id, ".log"));
  log::WriterState writer = log::WriterState::kOpen;
  const auto head = ReadHeadOf(*spool_, Join(server.directory, spool::kLease));
  if (head.ok()) {
    // A lease has no ring: its writer keeps the number of calls it has served there.
    status.calls_served = head->flushed;
    writer = head->state;
    status.lease_age = AgeOf(server, head->counter);
  } else {
    problems->emplace_back(head.status().message());
  }
  if (server.liveness == os::Liveness::kDead) {
    status.state = ServerStatus::State::kDead;
  } else if (writer == log::WriterState::kClosed) {
    status.state = ServerStatus::State::kStopped;
  } else if (!head.ok() || Silent(server, status)) {
    status.state = ServerStatus::State::kUnresponsive;
  } else if (writer == log::WriterState::kDraining) {
    status.state = ServerStatus::State::kDraining;
  }
  return status;
}

absl::StatusOr<SpoolStatus> Observer::Look(size_t max_sessions) {
  settled_ = true;
  if (spool_ == nullptr) {
    auto opened = spool::Spool::Open(env_, path_, spool::Transport::kAuto);
    if (!opened.ok()) return opened.status();
    spool_ = *std::move(opened);
    list_ = std::make_unique<spool::ServerList>(spool_);
  }
  SpoolStatus result;
  result.path = spool_->root();
  result.file_system = spool_->file_system().name;
  result.local = spool_->file_system().local;
  result.owner_uid = spool_->owner();
  result.group_gid = spool_->group();
  const auto servers = list_->Refresh(&result.problems);
  if (!servers.ok()) {
    // Removed, and perhaps made anew: the next look opens what is there then.
    spool_ = nullptr;
    return servers.status();
  }
  for (const spool::ServerEntry& server : *servers) {
    std::vector<std::string> problems;
    ServerStatus status = StatusOf(server, &problems);
    // It was removed while we looked, as every server's directory is in the end.
    if (!problems.empty() &&
        absl::IsNotFound(os::StatPath(env_.calls, server.directory).status())) {
      continue;
    }
    result.problems.insert(result.problems.end(), problems.begin(), problems.end());
    AddSessions(*spool_, server.directory, max_sessions, &status);
    result.servers.push_back(std::move(status));
  }
  std::sort(result.servers.begin(), result.servers.end(),
            [](const ServerStatus& a, const ServerStatus& b) { return a.id < b.id; });
  return result;
}

// What to say of a path where no spool was found: `missing` names what is not there.
absl::Status DescribeMissing(const os::Environment& env, const std::string& path,
                             const absl::Status& missing) {
  const auto names = os::ListDirectory(env.calls, path);
  if (absl::IsNotFound(names.status())) {
    return absl::NotFoundError(
        absl::StrCat("spool ", path, ": there is none; the first server that serves it makes it"));
  }
  if (!names.ok()) return names.status();
  bool others = false;
  for (const std::string& name : *names) {
    if (name == spool::kFormatFile) {
      return absl::FailedPreconditionError(
          absl::StrCat("spool ", path, ": incomplete: ", missing.message()));
    }
    others = others || (name != spool::kServers && name != spool::kSessions &&
                        name != spool::kLogs && !absl::StartsWith(name, "."));
  }
  if (others) {
    return absl::FailedPreconditionError(
        absl::StrCat("spool ", path, ": not a spool: it has no file '", spool::kFormatFile,
                     "', and other things in it; is it the path that the server was given?"));
  }
  return absl::NotFoundError(absl::StrCat(
      "spool ", path, ": an empty directory; the first server that serves it makes it a spool"));
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

absl::string_view ClientName(SessionStatus::Client client) {
  switch (client) {
    case SessionStatus::Client::kAlive:
      return "alive";
    case SessionStatus::Client::kDead:
      return "dead";
    case SessionStatus::Client::kUnknown:
      return "unknown";
  }
  return "?";
}

bool HasServer(const SpoolStatus& status, absl::string_view service) {
  for (const ServerStatus& server : status.servers) {
    if (server.state != ServerStatus::State::kServing) continue;
    if (service.empty()) return true;
    for (const std::string& offered : server.services) {
      if (offered == service) return true;
    }
  }
  return false;
}

absl::StatusOr<SpoolStatus> QuerySpool(absl::string_view address, const QueryOptions& options) {
  const auto path = spool::ResolveAddress(address);
  if (!path.ok()) return path.status();
  const os::Clock& clock = *options.environment.clock;
  Observer observer(*path, options.environment, options.watch);
  const os::Nanos end = os::After(clock.Now(), options.watch);
  for (;;) {
    auto status = observer.Look(0);
    // The sessions are looked at once, when the leases are settled.
    if (status.ok() && (observer.settled() || clock.Now() >= end)) {
      status = observer.Look(options.max_sessions);
      if (status.ok()) return status;
    }
    if (absl::IsNotFound(status.status())) {
      return DescribeMissing(options.environment, *path, status.status());
    }
    if (!status.ok()) return status;
    Sleep(kLongestPauseLocal);
  }
}

absl::StatusOr<SpoolStatus> WaitForServer(absl::string_view address, const WaitOptions& options) {
  const auto path = spool::ResolveAddress(address);
  if (!path.ok()) return path.status();
  const os::Clock& clock = *options.environment.clock;
  Observer observer(*path, options.environment, absl::InfiniteDuration());
  const os::Nanos end = os::After(clock.Now(), options.timeout);
  for (absl::Duration pause = kFirstPause;; pause *= 2) {
    auto status = observer.Look(0);
    const os::Nanos now = clock.Now();
    if (status.ok() && (HasServer(*status, options.service) || now >= end)) {
      status = observer.Look(options.max_sessions);
      if (status.ok() && (HasServer(*status, options.service) || now >= end)) return status;
    }
    if (absl::IsNotFound(status.status())) {
      if (now >= end) return DescribeMissing(options.environment, *path, status.status());
    } else if (!status.ok() && (!absl::IsUnavailable(status.status()) || now >= end)) {
      return status;
    }
    pause = std::min(pause, observer.network() ? kLongestPauseNetwork : kLongestPauseLocal);
    Sleep(end == os::kNever ? pause : std::min(pause, absl::Nanoseconds(end - now)));
  }
}

}  // namespace spoolrpc
