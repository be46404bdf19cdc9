#include "spoolrpc/client/session_pool.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/rpc/log_sink.h"
#include "spoolrpc/spool/reason.h"

namespace spoolrpc::client {
namespace {

constexpr size_t kBufferSize = 2 * 65536;
constexpr os::Nanos kMillisecond = 1000000;
// How often to look for further servers while one serves.
constexpr os::Nanos kRescanLocal = 1000 * kMillisecond;
constexpr os::Nanos kRescanNetwork = 5000 * kMillisecond;
// How often a client in a group's spool looks for what its user's dead processes left.
constexpr os::Nanos kCollectionInterval = 60000 * kMillisecond;
constexpr absl::Duration kUsualAckTimeout = absl::Seconds(20);

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
    const os::Nanos due = std::min(pending_[i]->next_look, pending_[i]->touch_at);
    if (env_.clock->Now() >= due && LookAt(pending_[i].get(), now)) {
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

}  // namespace spoolrpc::client
