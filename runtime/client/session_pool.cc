#include "spoolrpc/client/session_pool.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/rpc/log_sink.h"
#include "spoolrpc/spool/reason.h"
#include "spoolrpc/spool/verdict.h"

namespace spoolrpc::client {
namespace {

constexpr size_t kBufferSize = 2 * 65536;
constexpr os::Nanos kMillisecond = 1000000;
// A directory is touched again so long after a name was published in it (docs/protocol.md, 2).
constexpr os::Nanos kTouchAfter = 20 * kMillisecond;
// How often to look for further servers while one serves.
constexpr os::Nanos kRescanLocal = 1000 * kMillisecond;
constexpr os::Nanos kRescanNetwork = 5000 * kMillisecond;
// How often a client in a group's spool looks for what its user's dead processes left.
constexpr os::Nanos kCollectionInterval = 60000 * kMillisecond;
constexpr absl::Duration kUsualAckTimeout = absl::Seconds(20);
constexpr int kMaxIoThreads = 8;

// The wait for a name, between `shortest` and a sixteenth of how long it has lasted.
os::Nanos NextLook(os::Nanos now, os::Nanos since, os::Nanos shortest, os::Nanos longest) {
  return now + std::clamp((now - since) / 16, shortest, longest);
}

bool MayBeCalled(Fit fit) { return fit == Fit::kFits || fit == Fit::kDifferent; }

}  // namespace

SessionPool::SessionPool(std::string path, const ChannelOptions& options,
                         std::shared_ptr<const void> keep_alive)
    : path_(std::move(path)),
      options_(options),
      keep_alive_(std::move(keep_alive)),
      env_(options.environment),
      withdraw_after_(absl::ToInt64Nanoseconds(options.ack_timeout.value_or(kUsualAckTimeout)) /
                      3) {}

SessionPool::~SessionPool() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    if (started_) eventfd_write(wake_fd_, 1);
  }
  if (thread_.joinable()) thread_.join();
  std::vector<std::shared_ptr<ClientSession>> sessions;
  {
    absl::MutexLock lock(&mu_);
    for (Member& member : sessions_) sessions.push_back(std::move(member.session));
    sessions_.clear();
  }
  for (const auto& session : sessions) {
    session->Close();
    graves_.push_back(session->TakeDirectory());
  }
  for (const auto& pending : pending_) GiveBack(pending.get(), env_.clock->Now());
  for (const auto& [session, fd] : pidfds_) close(fd);
  // Nobody has the sessions' files open any more when they are removed.
  pollers_.reset();
  flushers_.reset();
  sessions.clear();
  {
    // One may be on its way to the reaper; calls, which hold the others, have all ended.
    absl::MutexLock lock(&mu_);
    const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return alive_ == 0; };
    mu_.Await(absl::Condition(&none));
  }
  EmptyGraves();
  if (wake_fd_ >= 0) close(wake_fd_);
}

void SessionPool::StartThread() {
  started_ = true;
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { Run(); });
}

std::shared_ptr<ClientSession> SessionPool::Pick(const MethodInfo* method,
                                                 const std::vector<std::string>& avoid,
                                                 std::string* warning) {
  Member* best = nullptr;
  Fit best_fit = Fit::kNotOffered;
  bool best_avoided = false;
  const size_t first = options_.balancing == Balancing::kPickFirst ? 0 : turn_++;
  for (size_t i = 0; i < sessions_.size(); ++i) {
    Member& member = sessions_[(first + i) % sessions_.size()];
    const ClientSession& session = *member.session;
    if (!session.takes_calls()) continue;
    const auto [fit, is_new] = member.fits.try_emplace(method, Fit::kFits);
    if (is_new) fit->second = member.schema->Compare(method);
    if (!MayBeCalled(fit->second)) continue;
    const bool avoided = std::find(avoid.begin(), avoid.end(), session.server().id) != avoid.end();
    const bool better =
        best == nullptr || (best_avoided && !avoided) ||
        (best_avoided == avoided && options_.balancing == Balancing::kLeastInFlight &&
         session.open_calls() < best->session->open_calls());
    if (better) {
      best = &member;
      best_fit = fit->second;
      best_avoided = avoided;
    }
    if (!best_avoided && options_.balancing != Balancing::kLeastInFlight) break;
  }
  if (best == nullptr) return nullptr;
  ++picks_;
  if (best_fit == Fit::kDifferent && warning != nullptr) {
    best->fits[method] = Fit::kFits;
    if (warned_.insert(method).second) {
      *warning =
          absl::StrCat(method->full_name, ": the schemas differ: ", best->schema->Explain(*method));
    }
  }
  return best->session;
}

std::shared_ptr<ClientSession> SessionPool::TryGet(const MethodInfo* method,
                                                   const std::vector<std::string>& avoid) {
  std::string warning;
  std::shared_ptr<ClientSession> session;
  {
    absl::MutexLock lock(&mu_);
    session = Pick(method, avoid, &warning);
  }
  if (!warning.empty()) rpc::Log(options_.log_sink, LogLevel::kWarning, warning);
  return session;
}

ChannelState SessionPool::state() const {
  absl::MutexLock lock(&mu_);
  for (const Member& member : sessions_) {
    if (member.session->takes_calls()) return ChannelState::kReady;
  }
  if (!started_ || (waiting_.empty() && connecting_ == 0)) return ChannelState::kIdle;
  return scans_ < 2 || connecting_ > 0 ? ChannelState::kConnecting
                                       : ChannelState::kTransientFailure;
}

void SessionPool::NoteScan(bool whole) {
  absl::MutexLock lock(&mu_);
  scans_ += whole;
  connecting_ = pending_.size();
  changed_.SignalAll();
  ServeWaiters(absl::OkStatus());
}

absl::StatusOr<std::shared_ptr<ClientSession>> SessionPool::Get(
    const MethodInfo* method, os::Nanos deadline, bool fail_fast,
    const std::function<bool()>& cancelled) {
  std::string warning;
  auto result = Await(method, deadline, fail_fast, cancelled, &warning);
  if (!warning.empty()) rpc::Log(options_.log_sink, LogLevel::kWarning, warning);
  return result;
}

absl::StatusOr<std::shared_ptr<ClientSession>> SessionPool::Await(
    const MethodInfo* method, os::Nanos deadline, bool fail_fast,
    const std::function<bool()>& cancelled, std::string* warning) {
  absl::MutexLock lock(&mu_);
  if (auto session = Pick(method, {}, warning)) return session;
  const auto waiting = Want(method);
  const uint64_t failures = failures_;
  const uint64_t scans = scans_;
  absl::StatusOr<std::shared_ptr<ClientSession>> result = absl::DeadlineExceededError("");
  for (;;) {
    if (auto session = Pick(method, {}, warning)) {
      result = std::move(session);
      break;
    }
    if (failures_ != failures) {
      result = failure_;
      break;
    }
    if (cancelled()) {
      result = absl::CancelledError("");
      break;
    }
    const bool nobody = NobodyThere(scans);
    if (nobody) {
      if (absl::Status status = Disagreement(method); !status.ok()) {
        result = std::move(status);
        break;
      }
    }
    const os::Nanos now = env_.clock->Now();
    if (now >= deadline || (fail_fast && nobody)) {
      result = absl::DeadlineExceededError(Situation(method));
      break;
    }
    changed_.WaitWithTimeout(&mu_, absl::Nanoseconds(deadline - now));
  }
  waiting_.erase(waiting);
  return result;
}

std::multiset<const MethodInfo*>::iterator SessionPool::Want(const MethodInfo* method) {
  if (!started_) StartThread();
  const auto waiting = waiting_.insert(method);
  used_.insert(method);
  eventfd_write(wake_fd_, 1);
  return waiting;
}

uint64_t SessionPool::GetAsync(const MethodInfo* method, bool fail_fast, FoundFn found) {
  absl::MutexLock lock(&mu_);
  const uint64_t id = ++last_waiter_;
  waiters_.emplace(id, Waiter{Want(method), fail_fast, scans_, std::move(found)});
  ServeWaiters(absl::OkStatus());
  return id;
}

bool SessionPool::CancelWait(uint64_t wait) {
  absl::MutexLock lock(&mu_);
  const auto it = waiters_.find(wait);
  if (it == waiters_.end()) return false;
  waiting_.erase(it->second.waiting);
  waiters_.erase(it);
  return true;
}

std::string SessionPool::situation(const MethodInfo& method) const {
  absl::MutexLock lock(&mu_);
  return Situation(&method);
}

std::string SessionPool::Situation(const MethodInfo* method) const {
  const std::string objection = Objection(method);
  return objection.empty() ? situation_ : absl::StrCat(situation_, "; ", objection);
}

std::string SessionPool::Objection(const MethodInfo* method) const {
  if (method == nullptr) return "";
  std::vector<const ServerSchema*> servers;
  for (const Member& member : sessions_) {
    if (member.session->takes_calls()) servers.push_back(member.schema.get());
  }
  for (const auto& stranger : strangers_) servers.push_back(stranger.get());
  const ServerSchema* first = nullptr;
  int others = 0;
  for (const ServerSchema* const server : servers) {
    if (server->Compare(method) != Fit::kIncompatible) continue;
    if (first != nullptr) ++others;
    if (first == nullptr) first = server;
  }
  if (first == nullptr) return "";
  return absl::StrCat(first->Explain(*method),
                      others == 0 ? "" : absl::StrCat("; and ", others, " more such server(s)"));
}

absl::Status SessionPool::Disagreement(const MethodInfo* method) const {
  // One that drains, or has not answered yet, may do, or make room for one that does.
  if (hopeful_.count(method) > 0) return absl::OkStatus();
  const std::string objection = Objection(method);
  if (objection.empty()) return absl::OkStatus();
  return spool::WithReason(absl::FailedPreconditionError(objection), ErrorInfo::VERSION_MISMATCH);
}

bool SessionPool::Unoffered(const MethodInfo& method) const {
  absl::MutexLock lock(&mu_);
  return !offered_.empty() && offered_.count(ServiceOf(method.full_name)) == 0;
}

void SessionPool::ServeWaiters(const absl::Status& status) {
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    const MethodInfo* const method = *it->second.waiting;
    const bool nobody = NobodyThere(it->second.scans);
    std::string warning;
    absl::StatusOr<std::shared_ptr<ClientSession>> result = std::shared_ptr<ClientSession>();
    if (!status.ok()) {
      result = status;
    } else if (auto session = Pick(method, {}, &warning)) {
      result = std::move(session);
    } else if (absl::Status disagreement = nobody ? Disagreement(method) : absl::OkStatus();
               !disagreement.ok()) {
      result = std::move(disagreement);
    } else if (it->second.fail_fast && nobody) {
      result = absl::DeadlineExceededError(Situation(method));
    } else {
      ++it;
      continue;
    }
    waiting_.erase(it->second.waiting);
    exec::ThreadPool::Shared()->Run([found = std::move(it->second.found),
                                     result = std::move(result), warning = std::move(warning),
                                     sink = options_.log_sink] {
      if (!warning.empty()) rpc::Log(sink, LogLevel::kWarning, warning);
      found(result);
    });
    it = waiters_.erase(it);
  }
}

void SessionPool::WakeAll() {
  absl::MutexLock lock(&mu_);
  changed_.SignalAll();
}

void SessionPool::Fail(const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  failure_ = status;
  ++failures_;
  changed_.SignalAll();
  ServeWaiters(status);
}

void SessionPool::Run() {
  buffer_ = std::make_unique<log::AlignedBuffer>(kBufferSize);
  for (;;) {
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return;
    }
    const os::Nanos next = Step();
    Sleep(next);
  }
}

void SessionPool::Sleep(os::Nanos until) {
  std::vector<pollfd> fds = {{wake_fd_, POLLIN, 0}};
  std::vector<ClientSession*> watched;
  for (const auto& [session, fd] : pidfds_) {
    fds.push_back({fd, POLLIN, 0});
    watched.push_back(session);
  }
  const os::Nanos wait = std::max<os::Nanos>(0, until - env_.clock->Now());
  const os::Nanos bounded = std::min<os::Nanos>(wait, 1000 * kMillisecond);
  timespec timeout;
  timeout.tv_sec = bounded / 1000000000;
  timeout.tv_nsec = bounded % 1000000000;
  if (ppoll(fds.data(), fds.size(), &timeout, nullptr) <= 0) return;
  if (fds[0].revents != 0) {
    eventfd_t value;
    eventfd_read(wake_fd_, &value);
  }
  for (size_t i = 1; i < fds.size(); ++i) {
    if (fds[i].revents == 0) continue;
    ClientSession* const session = watched[i - 1];
    session->OnServerDead(buffer_.get());
    close(fds[i].fd);
    pidfds_.erase(session);
  }
}

os::Nanos SessionPool::Step() {
  const os::Nanos now = env_.clock->Now();
  Methods missing;
  Methods used;
  std::vector<std::shared_ptr<ClientSession>> sessions;
  {
    absl::MutexLock lock(&mu_);
    for (const MethodInfo* const method : waiting_) {
      if (Pick(method, {}, nullptr) == nullptr) missing.insert(method);
    }
    // A channel that nobody uses does not look for further servers.
    if (!missing.empty() || picks_ != picks_seen_) used = used_;
    picks_seen_ = picks_;
    for (const Member& member : sessions_) sessions.push_back(member.session);
  }
  // Servers: at once while somebody waits, now and then otherwise.
  if (missing.empty()) {
    scanning_since_ = 0;
  } else if (scanning_since_ == 0) {
    scanning_since_ = now;
    next_scan_ = now;
  }
  if (!used.empty() && now >= next_scan_) {
    Scan(now, used, missing);
    NoteScan(/*whole=*/true);
    const bool network = spool_ == nullptr || spool_->network();
    const os::Nanos after = env_.clock->Now();
    if (!missing.empty()) {
      next_scan_ = NextLook(after, scanning_since_, (network ? 10 : 1) * kMillisecond,
                            (network ? 200 : 50) * kMillisecond);
    } else {
      next_scan_ = after + (network ? kRescanNetwork : kRescanLocal);
    }
  }
  os::Nanos next = used.empty() ? os::kNever : next_scan_;
  for (size_t i = 0; i < pending_.size();) {
    if (env_.clock->Now() >= pending_[i]->next_look && LookAt(pending_[i].get(), now)) {
      pending_.erase(pending_.begin() + i);
      NoteScan(/*whole=*/false);
      continue;
    }
    next = std::min({next, pending_[i]->next_look, pending_[i]->touch_at});
    ++i;
  }
  for (const auto& session : sessions) {
    next = std::min(next, session->Housekeep(buffer_.get()));
  }
  DropUnusable();
  if (collector_ != nullptr && !used.empty() && env_.clock->Now() >= next_collection_) {
    collector_->CollectOwn();
    next_collection_ = env_.clock->Now() + kCollectionInterval;
  }
  return next;
}

void SessionPool::DropUnusable() {
  std::vector<std::shared_ptr<ClientSession>> dropped;
  {
    absl::MutexLock lock(&mu_);
    for (size_t i = 0; i < sessions_.size();) {
      if (sessions_[i].session->usable()) {
        ++i;
        continue;
      }
      dropped.push_back(std::move(sessions_[i].session));
      sessions_.erase(sessions_.begin() + i);
    }
  }
  for (const auto& session : dropped) {
    if (const auto it = pidfds_.find(session.get()); it != pidfds_.end()) {
      close(it->second);
      pidfds_.erase(it);
    }
    graves_.push_back(session->TakeDirectory());
  }
  dropped.clear();
  EmptyGraves();
}

void SessionPool::EmptyGraves() {
  for (size_t i = 0; i < graves_.size();) {
    if (graves_[i]->Remove()) {
      graves_.erase(graves_.begin() + i);
    } else {
      ++i;
    }
  }
}

void SessionPool::Scan(os::Nanos now, const Methods& wanted, const Methods& missing) {
  shunned_.Prune(now);
  std::string situation;
  std::vector<spool::ServerEntry> found;
  std::vector<std::string> problems;
  if (spool_ == nullptr) {
    auto spool = spool::Spool::Open(env_, path_, options_.transport);
    if (spool.ok()) {
      spool_ = *std::move(spool);
      servers_ = std::make_unique<spool::ServerList>(spool_);
      if (spool_->group().has_value() && spool_->owner() != geteuid()) {
        collector_ = std::make_unique<spool::Collector>(spool_);
      }
      if (spool_->network()) {
        const int threads = std::clamp(options_.max_servers, 1, kMaxIoThreads);
        flushers_ = std::make_unique<link::FlusherThreads>(threads);
        pollers_ = std::make_shared<link::PollerThreads>(env_.clock, threads);
      }
    } else if (absl::IsNotFound(spool.status()) || absl::IsUnavailable(spool.status())) {
      // Not there yet: a server may make it.
      situation = absl::StrCat("there is no spool at ", path_, " (", spool.status().message(), ")");
    } else {
      Fail(spool.status());
      return;
    }
  }
  if (spool_ != nullptr) {
    auto servers = servers_->Refresh(&problems);
    if (!servers.ok()) {
      if (absl::IsNotFound(servers.status())) {
        // Removed, perhaps to be made anew: what was open on it is found out by the sessions.
        situation = absl::StrCat("the spool ", path_, " was removed");
      } else if (absl::IsUnavailable(servers.status())) {
        situation = std::string(servers.status().message());
      } else {
        Fail(servers.status());
        return;
      }
    } else {
      found = *std::move(servers);
    }
  }
  std::vector<std::string> others;
  std::set<std::string, std::less<>> offered;
  // Who offers it and has not taken a session in, or none lately.
  std::vector<std::string> silent;
  Methods hopeful;
  std::vector<std::shared_ptr<const ServerSchema>> strangers;
  std::map<std::string, std::shared_ptr<const ServerSchema>> schemas;
  std::set<std::string> connected;
  {
    absl::MutexLock lock(&mu_);
    for (const Member& member : sessions_) connected.insert(member.session->server().id);
  }
  int dead = 0;
  for (const spool::ServerEntry& server : found) {
    if (server.liveness == os::Liveness::kDead) {
      ++dead;
      continue;
    }
    for (const auto& service : server.record->services()) offered.insert(service.name());
    const std::shared_ptr<const ServerSchema> schema = SchemaOf(server);
    schemas[server.id] = schema;
    bool offers = false;
    bool useful = false;
    for (const MethodInfo* const method : wanted) {
      const Fit fit = schema->Compare(method);
      offers = offers || fit != Fit::kNotOffered;
      useful = useful || MayBeCalled(fit);
      if (MayBeCalled(fit)) hopeful.insert(method);
    }
    if (!schema->speaks_our_protocol()) strangers.push_back(schema);
    if (!offers) {
      for (const auto& service : server.record->services()) others.push_back(service.name());
      continue;
    }
    if (!schema->speaks_our_protocol()) continue;
    if (useful || connected.count(server.id) == 0) {
      silent.push_back(
          absl::StrCat(server.record->process().host(), ":", server.record->process().pid()));
    }
    Connect(server, schema, missing, now);
  }
  schemas_ = std::move(schemas);
  if (situation.empty() && !silent.empty()) {
    situation = absl::StrCat("no server on the spool ", path_,
                             " has accepted a session; asked: ", absl::StrJoin(silent, ", "),
                             " (stopped, starting, going down, or without room on its disk? Its "
                             "log is in ",
                             path_, "/", spool::kLogs, ")");
  }
  if (situation.empty()) {
    situation = absl::StrCat("no live server offers it on the spool ", path_);
    if (dead > 0) absl::StrAppend(&situation, "; ", dead, " dead server(s) found");
    if (!problems.empty()) {
      absl::StrAppend(&situation, "; ", problems.size(), " server(s) left out, one since ",
                      absl::Utf8SafeCEscape(problems.front()));
    }
    if (!others.empty()) {
      std::sort(others.begin(), others.end());
      others.erase(std::unique(others.begin(), others.end()), others.end());
      absl::StrAppend(&situation, "; its servers offer ", absl::StrJoin(others, ", "));
    }
    if (spool_ != nullptr && spool_->file_system().local) {
      absl::StrAppend(&situation, "; the spool is on ", spool_->file_system().name,
                      ", a file system of this host (", env_.host->Self().host,
                      ") alone: a server on another host cannot see it");
    }
  }
  absl::MutexLock lock(&mu_);
  situation_ = std::move(situation);
  offered_ = std::move(offered);
  hopeful_ = std::move(hopeful);
  strangers_ = std::move(strangers);
}

std::shared_ptr<const ServerSchema> SessionPool::SchemaOf(const spool::ServerEntry& server) {
  const auto known = schemas_.find(server.id);
  return known != schemas_.end() ? known->second : std::make_shared<ServerSchema>(server);
}

bool SessionPool::Open(const spool::ServerEntry& server) {
  bool direct = false;
  auto lease = log::OpenLogForReading(env_.calls, spool::Join(server.directory, spool::kLease),
                                      spool_->access(), &direct);
  if (!lease.ok()) return false;
  const auto head = log::ReadHead(**lease, direct, buffer_.get());
  return head.ok() && head->state == log::WriterState::kOpen;
}

bool SessionPool::Enough(const ServerSchema& schema, const Methods& missing) {
  // What none of those that there are can be called with gets one more.
  for (const MethodInfo* const method : missing) {
    if (MayBeCalled(schema.Compare(method)) &&
        std::none_of(pending_.begin(), pending_.end(), [&](const auto& pending) {
          return MayBeCalled(pending->schema->Compare(method));
        })) {
      return false;
    }
  }
  absl::MutexLock lock(&mu_);
  return sessions_.size() + pending_.size() >= static_cast<size_t>(options_.max_servers);
}

void SessionPool::Connect(const spool::ServerEntry& server,
                          const std::shared_ptr<const ServerSchema>& schema, const Methods& missing,
                          os::Nanos now) {
  if (shunned_.Contains(server.id, now)) return;
  for (const auto& pending : pending_) {
    if (pending->server.id == server.id) return;
  }
  {
    absl::MutexLock lock(&mu_);
    for (const Member& member : sessions_) {
      if (member.session->server().id == server.id) return;
    }
  }
  if (Enough(*schema, missing) || !Open(server)) return;
  auto pending = std::make_unique<Pending>();
  pending->server = server;
  pending->schema = schema;
  auto directory = spool::SessionDirectory::Create(spool_, server, options_.log_capacity,
                                                   absl::ToInt64Nanoseconds(options_.lease_term));
  if (!directory.ok()) {
    if (!absl::IsUnavailable(directory.status())) Fail(directory.status());
    return;
  }
  pending->directory = *std::move(directory);
  if (pending->directory->doorbell() != nullptr) {
    auto bell =
        wait::Doorbell::Attach(env_.calls, pending->directory->paths().server_doorbell, server.uid);
    if (bell.ok()) pending->server_bell = *std::move(bell);
  }
  if (const absl::Status published = pending->directory->Publish(); !published.ok()) {
    // The announcement may be there all the same.
    pending->directory->Withdraw().status().IgnoreError();
    graves_.push_back(std::move(pending->directory));
    // Its directory is gone, and so is the server.
    if (!absl::IsNotFound(published) && !absl::IsUnavailable(published)) Fail(published);
    return;
  }
  if (pending->server_bell != nullptr) pending->server_bell->RingInbox();
  pending->published = env_.clock->Now();
  pending->withdraw_at = pending->published + withdraw_after_;
  pending->next_look = pending->published;
  if (spool_->network()) pending->touch_at = pending->published + kTouchAfter;
  pending_.push_back(std::move(pending));
}

bool SessionPool::LookAt(Pending* pending, os::Nanos now) {
  const spool::SessionPaths& paths = pending->directory->paths();
  now = env_.clock->Now();
  if (now >= pending->touch_at) {
    spool_->Touch(paths.inbox);
    pending->touch_at = os::kNever;
  }
  auto verdict = spool::LookForVerdict(*spool_, paths.verdict, pending->directory->id(),
                                       pending->directory->parties());
  const bool dead =
      env_.host->Look(spool::ToProcessId(pending->server.record->process())) == os::Liveness::kDead;
  if (absl::IsPermissionDenied(verdict.status())) {
    // Another member of the group is in the way, and can do no more than that.
    Fail(spool::WithReason(verdict.status(), ErrorInfo::SPOOL_UNUSABLE));
    GiveBack(pending, now);
    return true;
  }
  if (!verdict.ok()) {
    if (!dead && now < pending->withdraw_at) {
      const bool network = spool_->network();
      pending->next_look =
          NextLook(now, pending->published, network ? 2 * kMillisecond : kMillisecond / 20,
                   (network ? 50 : 20) * kMillisecond);
      return false;
    }
    verdict = pending->directory->Withdraw();
    if (!verdict.ok() && !absl::IsNotFound(verdict.status())) {
      // Who won is not known: nothing was sent on this session, so it does not matter to any call.
      pending->next_look = now + 50 * kMillisecond;
      if (now < pending->withdraw_at + withdraw_after_) return false;
    }
  }
  if (verdict.ok() && verdict->verdict() == spool::VerdictRecord::ACCEPTED && !dead) {
    const absl::Status adopted = Adopt(pending, *verdict);
    if (adopted.ok()) return true;
    if (absl::IsUnavailable(adopted) && now < pending->withdraw_at) {
      // Its half is not visible yet.
      pending->next_look = now + 2 * kMillisecond;
      return false;
    }
    // A half that has vanished, with its server perhaps: nothing was sent, and calls look
    // elsewhere.
    if (!absl::IsUnavailable(adopted)) Fail(adopted);
  } else if (verdict.ok() && verdict->verdict() == spool::VerdictRecord::REFUSED) {
    OnRefused(*pending, *verdict);
  } else if (absl::IsResourceExhausted(verdict.status())) {
    // Not even the withdrawal finds room.
    Fail(verdict.status());
  }
  GiveBack(pending, now);
  return true;
}

void SessionPool::OnRefused(const Pending& pending, const spool::VerdictRecord& verdict) {
  const std::string message = absl::StrCat("the server ", pending.server.directory,
                                           " refused the session: ", verdict.detail());
  if (verdict.reason() == ErrorInfo::PERMISSION_DENIED) {
    // Another one may allow what this one does not.
    if (pending_.size() > 1) return;
    Fail(spool::WithReason(absl::PermissionDeniedError(message), ErrorInfo::PERMISSION_DENIED));
    return;
  }
  const bool full = verdict.code() == static_cast<int>(absl::StatusCode::kResourceExhausted);
  Fail(spool::WithReason(absl::Status(full ? absl::StatusCode::kResourceExhausted
                                           : absl::StatusCode::kFailedPrecondition,
                                      message),
                         verdict.reason() == ErrorInfo::VERSION_MISMATCH
                             ? ErrorInfo::VERSION_MISMATCH
                             : ErrorInfo::SPOOL_UNUSABLE));
}

void SessionPool::GiveBack(Pending* pending, os::Nanos now) {
  // Not tried again for a while; a server that lives and was only slow comes back.
  shunned_.Add(pending->server.id, now + withdraw_after_);
  pending->directory->Withdraw().status().IgnoreError();
  graves_.push_back(std::move(pending->directory));
}

absl::Status SessionPool::Adopt(Pending* pending, const spool::VerdictRecord& verdict) {
  const spool::SessionPaths& paths = pending->directory->paths();
  auto reader = log::LogReader::Open(env_.calls, paths.responses, pending->directory->id(),
                                     log::Direction::kResponses, pending->server.uid,
                                     spool_->access(), buffer_.get());
  if (!reader.ok()) {
    if (absl::IsNotFound(reader.status()) || os::IsStale(reader.status())) {
      if (spool_->network()) {
        os::ListDirectory(env_.calls, paths.server_half).status().IgnoreError();
      }
      return absl::UnavailableError(reader.status().message());
    }
    return reader.status();
  }
  auto file = log::OpenLogForWriting(env_.calls, paths.requests, spool_->access());
  if (!file.ok()) return file.status();
  ClientSessionOptions options;
  options.env = env_;
  options.spool = spool_;
  options.server = pending->server;
  options.writer = std::make_unique<log::LogWriter>(*std::move(file), pending->directory->head(),
                                                    spool_->access());
  options.reader = *std::move(reader);
  options.own_bell = pending->directory->TakeDoorbell();
  options.server_bell = pending->server_bell;
  options.server_slot = verdict.doorbell_slot();
  if (pending->server_bell != nullptr) pending->server_bell->Echo(verdict.doorbell_slot());
  options.max_request_size = verdict.max_request_size();
  options.keep_alive = keep_alive_;
  options.bulk_threshold = options_.bulk_threshold;
  options.max_send_size = options_.max_send_message_size;
  options.max_reply_size = options_.max_receive_message_size;
  options.poll_interval = options_.poll_interval;
  options.spin = absl::ToInt64Nanoseconds(options_.spin);
  options.term = absl::ToInt64Nanoseconds(options_.lease_term);
  options.flusher = flushers_.get();
  options.pollers = pollers_;
  options.directory = std::move(pending->directory);
  {
    absl::MutexLock lock(&mu_);
    ++alive_;
  }
  std::shared_ptr<ClientSession> session = ClientSession::Make(std::move(options), [this] {
    absl::MutexLock lock(&mu_);
    --alive_;
  });
  const os::ProcessId process = spool::ToProcessId(pending->server.record->process());
  const int pidfd = env_.host->OpenPidfd(process);
  if (pidfd >= 0) {
    pidfds_[session.get()] = pidfd;
  } else if (env_.host->Look(process) == os::Liveness::kDead) {
    // It has ended since it accepted: nobody would tell.
    session->OnServerDead(buffer_.get());
  }
  if (pollers_ != nullptr) pollers_->Add(session);
  absl::MutexLock lock(&mu_);
  sessions_.push_back({std::move(session), pending->schema, {}});
  changed_.SignalAll();
  ServeWaiters(absl::OkStatus());
  return absl::OkStatus();
}

}  // namespace spoolrpc::client
