#include "spoolrpc/client/session_pool.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
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
constexpr absl::Duration kUsualAckTimeout = absl::Seconds(20);
constexpr int kMaxIoThreads = 8;

// The wait for a name, between `shortest` and a sixteenth of how long it has lasted.
os::Nanos NextLook(os::Nanos now, os::Nanos since, os::Nanos shortest, os::Nanos longest) {
  return now + std::clamp((now - since) / 16, shortest, longest);
}

}  // namespace

SessionPool::SessionPool(std::string path, const ChannelOptions& options)
    : path_(std::move(path)),
      options_(options),
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
    sessions.swap(sessions_);
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
  EmptyGraves();
  if (wake_fd_ >= 0) close(wake_fd_);
}

void SessionPool::StartThread() {
  started_ = true;
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { Run(); });
}

std::shared_ptr<ClientSession> SessionPool::Pick(absl::string_view service,
                                                 const std::vector<std::string>& avoid) {
  const std::shared_ptr<ClientSession>* best = nullptr;
  bool best_avoided = false;
  const size_t first = options_.balancing == Balancing::kPickFirst ? 0 : turn_++;
  for (size_t i = 0; i < sessions_.size(); ++i) {
    const auto& session = sessions_[(first + i) % sessions_.size()];
    if (!session->takes_calls() || !session->Offers(service)) continue;
    const bool avoided = std::find(avoid.begin(), avoid.end(), session->server().id) != avoid.end();
    const bool better =
        best == nullptr || (best_avoided && !avoided) ||
        (best_avoided == avoided && options_.balancing == Balancing::kLeastInFlight &&
         session->open_calls() < (*best)->open_calls());
    if (better) {
      best = &session;
      best_avoided = avoided;
    }
    if (!best_avoided && options_.balancing != Balancing::kLeastInFlight) break;
  }
  if (best == nullptr) return nullptr;
  ++picks_;
  return *best;
}

std::shared_ptr<ClientSession> SessionPool::TryGet(absl::string_view service,
                                                   const std::vector<std::string>& avoid) {
  absl::MutexLock lock(&mu_);
  return Pick(service, avoid);
}

ChannelState SessionPool::state() const {
  absl::MutexLock lock(&mu_);
  for (const auto& session : sessions_) {
    if (session->takes_calls()) return ChannelState::kReady;
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
    absl::string_view service, os::Nanos deadline, bool fail_fast,
    const std::function<bool()>& cancelled) {
  absl::MutexLock lock(&mu_);
  if (auto session = Pick(service)) return session;
  const auto waiting = Want(service);
  const uint64_t failures = failures_;
  const uint64_t scans = scans_;
  absl::StatusOr<std::shared_ptr<ClientSession>> result = absl::DeadlineExceededError("");
  for (;;) {
    if (auto session = Pick(service)) {
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
    const os::Nanos now = env_.clock->Now();
    if (now >= deadline || (fail_fast && NobodyThere(scans))) {
      result = absl::DeadlineExceededError(situation_);
      break;
    }
    changed_.WaitWithTimeout(&mu_, absl::Nanoseconds(deadline - now));
  }
  waiting_.erase(waiting);
  return result;
}

std::multiset<std::string>::iterator SessionPool::Want(absl::string_view service) {
  if (!started_) StartThread();
  const auto waiting = waiting_.insert(std::string(service));
  used_.insert(std::string(service));
  eventfd_write(wake_fd_, 1);
  return waiting;
}

uint64_t SessionPool::GetAsync(absl::string_view service, bool fail_fast, FoundFn found) {
  absl::MutexLock lock(&mu_);
  const uint64_t id = ++last_waiter_;
  waiters_.emplace(id, Waiter{Want(service), fail_fast, scans_, std::move(found)});
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

std::string SessionPool::situation() const {
  absl::MutexLock lock(&mu_);
  return situation_;
}

bool SessionPool::Unoffered(absl::string_view service) const {
  absl::MutexLock lock(&mu_);
  return !offered_.empty() && offered_.count(service) == 0;
}

void SessionPool::ServeWaiters(const absl::Status& status) {
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    absl::StatusOr<std::shared_ptr<ClientSession>> result = std::shared_ptr<ClientSession>();
    if (!status.ok()) {
      result = status;
    } else if (auto session = Pick(*it->second.waiting)) {
      result = std::move(session);
    } else if (it->second.fail_fast && NobodyThere(it->second.scans)) {
      result = absl::DeadlineExceededError(situation_);
    } else {
      ++it;
      continue;
    }
    waiting_.erase(it->second.waiting);
    exec::ThreadPool::Shared()->Run(
        [found = std::move(it->second.found), result = std::move(result)] { found(result); });
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
  std::set<std::string> missing;
  std::set<std::string> used;
  std::vector<std::shared_ptr<ClientSession>> sessions;
  {
    absl::MutexLock lock(&mu_);
    for (const std::string& service : waiting_) {
      if (Pick(service) == nullptr) missing.insert(service);
    }
    // A channel that nobody uses does not look for further servers.
    if (!missing.empty() || picks_ != picks_seen_) used = used_;
    picks_seen_ = picks_;
    sessions = sessions_;
  }
  // Servers: at once while somebody waits, now and then otherwise.
  if (missing.empty()) {
    scanning_since_ = 0;
  } else if (scanning_since_ == 0) {
    scanning_since_ = now;
    next_scan_ = now;
  }
  if (!used.empty() && now >= next_scan_) {
    Scan(now, used);
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
  return next;
}

void SessionPool::DropUnusable() {
  std::vector<std::shared_ptr<ClientSession>> dropped;
  {
    absl::MutexLock lock(&mu_);
    for (size_t i = 0; i < sessions_.size();) {
      if (sessions_[i]->usable()) {
        ++i;
        continue;
      }
      dropped.push_back(std::move(sessions_[i]));
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

void SessionPool::Scan(os::Nanos now, const std::set<std::string>& wanted) {
  std::string situation;
  std::vector<spool::ServerEntry> found;
  if (spool_ == nullptr) {
    auto spool = spool::Spool::Open(env_, path_, options_.transport);
    if (spool.ok()) {
      spool_ = *std::move(spool);
      servers_ = std::make_unique<spool::ServerList>(spool_);
      if (spool_->network()) {
        const int threads = std::clamp(options_.max_servers, 1, kMaxIoThreads);
        flushers_ = std::make_unique<link::FlusherThreads>(threads);
        pollers_ = std::make_unique<link::PollerThreads>(env_.clock, threads);
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
    auto servers = servers_->Refresh();
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
  int dead = 0;
  for (const spool::ServerEntry& server : found) {
    bool offers = false;
    for (const auto& service : server.record->services()) {
      offers = offers || wanted.count(service.name()) > 0 || wanted.count("") > 0;
    }
    if (server.liveness == os::Liveness::kDead) {
      ++dead;
      continue;
    }
    for (const auto& service : server.record->services()) offered.insert(service.name());
    if (!offers) {
      for (const auto& service : server.record->services()) others.push_back(service.name());
      continue;
    }
    silent.push_back(
        absl::StrCat(server.record->process().host(), ":", server.record->process().pid()));
    Connect(server, now);
  }
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
}

bool SessionPool::Open(const spool::ServerEntry& server) {
  bool direct = false;
  auto lease = log::OpenLogForReading(env_.calls, spool::Join(server.directory, spool::kLease),
                                      spool_->access(), &direct);
  if (!lease.ok()) return false;
  const auto head = log::ReadHead(**lease, direct, buffer_.get());
  return head.ok() && head->state == log::WriterState::kOpen;
}

void SessionPool::Connect(const spool::ServerEntry& server, os::Nanos now) {
  if (const auto it = shunned_.find(server.id); it != shunned_.end()) {
    if (now < it->second) return;
    shunned_.erase(it);
  }
  for (const auto& pending : pending_) {
    if (pending->server.id == server.id) return;
  }
  {
    absl::MutexLock lock(&mu_);
    if (sessions_.size() + pending_.size() >= static_cast<size_t>(options_.max_servers)) return;
    for (const auto& session : sessions_) {
      if (session->server().id == server.id) return;
    }
  }
  if (!Open(server)) return;
  auto pending = std::make_unique<Pending>();
  pending->server = server;
  auto directory = spool::SessionDirectory::Create(spool_, server, options_.log_capacity,
                                                   absl::ToInt64Nanoseconds(options_.lease_term));
  if (!directory.ok()) {
    if (!absl::IsUnavailable(directory.status())) Fail(directory.status());
    return;
  }
  pending->directory = *std::move(directory);
  if (pending->directory->doorbell() != nullptr) {
    auto bell = wait::Doorbell::Attach(env_.calls, pending->directory->paths().server_doorbell,
                                       server.record->process().uid());
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
  auto verdict = spool::LookForVerdict(*spool_, paths.verdict, pending->directory->id());
  const bool dead =
      env_.host->Look(spool::ToProcessId(pending->server.record->process())) == os::Liveness::kDead;
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
    Fail(adopted);
  } else if (verdict.ok() && verdict->verdict() == spool::VerdictRecord::REFUSED) {
    const ErrorInfo::Reason reason = verdict->reason() == ErrorInfo::VERSION_MISMATCH
                                         ? ErrorInfo::VERSION_MISMATCH
                                         : ErrorInfo::SPOOL_UNUSABLE;
    Fail(spool::WithReason(
        absl::FailedPreconditionError(absl::StrCat("the server ", pending->server.directory,
                                                   " refused the session: ", verdict->detail())),
        reason));
  }
  GiveBack(pending, now);
  return true;
}

void SessionPool::GiveBack(Pending* pending, os::Nanos now) {
  // Not tried again for a while; a server that lives and was only slow comes back.
  shunned_[pending->server.id] = now + withdraw_after_;
  pending->directory->Withdraw().status().IgnoreError();
  graves_.push_back(std::move(pending->directory));
}

absl::Status SessionPool::Adopt(Pending* pending, const spool::VerdictRecord& verdict) {
  const spool::SessionPaths& paths = pending->directory->paths();
  auto reader = log::LogReader::Open(
      env_.calls, paths.responses, pending->directory->id(), log::Direction::kResponses,
      pending->server.record->process().uid(), spool_->access(), buffer_.get());
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
  options.poll_interval = options_.poll_interval;
  options.spin = absl::ToInt64Nanoseconds(options_.spin);
  options.term = absl::ToInt64Nanoseconds(options_.lease_term);
  options.flusher = flushers_.get();
  options.pollers = pollers_.get();
  options.directory = std::move(pending->directory);
  auto session = std::make_shared<ClientSession>(std::move(options));
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
  sessions_.push_back(std::move(session));
  changed_.SignalAll();
  ServeWaiters(absl::OkStatus());
  return absl::OkStatus();
}

}  // namespace spoolrpc::client
