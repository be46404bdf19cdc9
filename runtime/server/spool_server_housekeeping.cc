// What the server's housekeeper does: lease, inbox, sessions that have ended, leftovers.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/server/spool_server.h"

namespace spoolrpc::server {
namespace {

constexpr os::Nanos kMillisecond = 1000000;
// How long an ended session's files stay for the client to read the goodbye.
constexpr os::Nanos kGoodbyeTime = 3000 * kMillisecond;
// How long a refused client may take to read why.
constexpr os::Nanos kRefusalTime = 60000 * kMillisecond;
// How often the server looks whether an ended session's client has removed its half.
constexpr os::Nanos kShortestGravesInterval = 20 * kMillisecond;
constexpr os::Nanos kLongestGravesInterval = 2000 * kMillisecond;
// How long the memory of large messages is kept for the next ones.
constexpr os::Nanos kKeepMessages = os::Nanos{10} * 1000000000;
// How seldom leftovers are looked for where there were none: a look lists all sessions.
constexpr int kTermsBetweenCollections = 4;
// How often a local inbox is looked at all the same that nobody but the owner's programs uses.
constexpr absl::Duration kOwnersInboxLook = absl::Seconds(1);

}  // namespace

void SpoolServer::Housekeep() {
  while (!stopping_.load(std::memory_order_acquire)) {
    HousekeepOnce();
    options_.log->Drain();
    SleepUntil(std::min({next_inbox_, next_lease_, next_collection_}));
  }
}

void SpoolServer::SleepUntil(os::Nanos when) {
  for (const auto& [directory, at] : touches_) when = std::min(when, at);
  if (!ended_since_.empty()) when = std::min(when, env_.clock->Now() + kShortestGravesInterval);
  if (!graves_.empty()) when = std::min(when, next_graves_);
  const os::Nanos wait = std::max<os::Nanos>(0, when - env_.clock->Now());
  pollfd fd = {epoll_fd_, POLLIN, 0};
  timespec timeout;
  timeout.tv_sec = wait / 1000000000;
  timeout.tv_nsec = wait % 1000000000;
  if (ppoll(&fd, 1, &timeout, nullptr) <= 0) return;
  epoll_event events[64];
  const int count = epoll_wait(epoll_fd_, events, 64, 0);
  bool rung = false;
  std::vector<int> ended;
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 == 0) {
      rung = true;
    } else {
      ended.push_back(static_cast<int>(events[i].data.u64));
    }
  }
  if (rung) {
    eventfd_t value;
    eventfd_read(wake_fd_, &value);
  }
  for (const int pidfd : ended) {
    for (auto it = pidfds_.begin(); it != pidfds_.end(); ++it) {
      if (it->second != pidfd) continue;
      const std::string id = it->first;
      pidfds_.erase(it);
      epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, pidfd, nullptr);
      close(pidfd);
      std::shared_ptr<ServerSession> session;
      {
        absl::MutexLock lock(&mu_);
        if (const auto found = sessions_.find(id); found != sessions_.end()) {
          session = found->second;
        }
      }
      if (session != nullptr) session->OnClientDead();
      break;
    }
  }
}

void SpoolServer::HousekeepOnce() {
  os::Nanos now = env_.clock->Now();
  const bool rung = inbox_rung_.exchange(false, std::memory_order_acq_rel);
  if (durable_rung_.exchange(false, std::memory_order_acq_rel)) durable_->Wake();
  if (rung || now >= next_inbox_) {
    LookIntoInbox();
    now = env_.clock->Now();
  }
  if (rung || now >= next_inbox_) {
    wait::PollInterval interval = options_.poll_interval;
    interval.min = std::max(interval.min, absl::Milliseconds(spool_->network() ? 5 : 20));
    // Clients of the same user ring; where there are others, who cannot, the inbox is looked at as
    // often as any file.
    if (!spool_->network() && spool_->file_mode() == 0600 && !doorbell_lost_) {
      interval.max =
          std::max({interval.max, kOwnersInboxLook, absl::Nanoseconds(options_.term / 4)});
    }
    wait::PollSchedule schedule(interval, last_arrival_);
    next_inbox_ = schedule.Next(now);
  }
  for (auto it = touches_.begin(); it != touches_.end();) {
    if (now < it->second) {
      ++it;
      continue;
    }
    spool_->Touch(it->first);
    it = touches_.erase(it);
  }
  RenewLeaseIfDue();
  if (!doorbell_lost_ && directory_->doorbell()->lost()) {
    doorbell_lost_ = true;
    Warn(absl::StrCat("doorbell ", spool::Join(directory_->path(), spool::kDoorbell),
                      ": it was truncated, or its disk fails; calls come more slowly until this "
                      "server is started again"));
    // Who relied on it is to be looked at often from here on.
    const auto all = Sessions();
    std::vector<ServerSession*> sessions;
    for (const auto& session : all) sessions.push_back(session.get());
    LookSoon(sessions);
  }
  RemoveEnded(now);
  // Only another user can remove what a client of his has left: that may take for ever.
  if (now >= next_graves_) {
    EmptyGraves(/*all=*/false);
    next_graves_ = env_.clock->Now() + graves_interval_;
    graves_interval_ = std::min(2 * graves_interval_, kLongestGravesInterval);
  }
  for (auto it = forget_verdicts_.begin(); it != forget_verdicts_.end();) {
    RenewLeaseIfDue();
    if (now < it->second) {
      ++it;
      continue;
    }
    // Kept as long as the client's half is there.
    if (directory_->Forget(it->first)) {
      it = forget_verdicts_.erase(it);
    } else {
      it->second = now + kLongestGravesInterval;
      ++it;
    }
  }
  if (now >= next_collection_) {
    collection_interval_ =
        Collect() || collection_interval_ == 0
            ? options_.term
            : std::min(2 * collection_interval_, options_.term * kTermsBetweenCollections);
    next_collection_ = env_.clock->Now() + collection_interval_;
  }
}

void SpoolServer::LookIntoInbox() {
  const auto inbox = directory_->ListInbox();
  if (!inbox.ok()) {
    if (absl::IsNotFound(inbox.status()) && !draining()) {
      const absl::Status there = directory_->CheckStillThere();
      // (Perhaps it is just being removed, from below.)
      StepDown(there.ok() ? absl::FailedPreconditionError(
                                absl::StrCat("the inbox of server directory ", directory_->path(),
                                             " was removed: somebody took this server for dead"))
                          : there);
    }
    return;
  }
  for (const uint32_t number : inbox->stops) TakeStop(number);
  for (const std::string& id : inbox->sessions) {
    // Taking many in may last longer than a term.
    RenewLeaseIfDue();
    absl::MutexLock accepting(&accept_mu_);
    if (draining()) return;
    {
      absl::MutexLock lock(&mu_);
      if (sessions_.count(id) > 0) continue;
    }
    // Dealt with already: a listing may show a name again.
    if (forget_verdicts_.count(id) > 0 || graves_.count(id) > 0) continue;
    Accept(id);
    last_arrival_ = env_.clock->Now();
  }
}

void SpoolServer::TakeStop(uint32_t number) {
  if (stops_seen_.count(number) > 0) return;
  const auto record = directory_->ReadStop(number);
  if (!record.ok() && !absl::IsDataLoss(record.status()) &&
      !absl::IsFailedPrecondition(record.status())) {
    return;  // the next look reads it
  }
  stops_seen_.insert(number);
  if (!record.ok()) {
    Warn(absl::StrCat("a request to stop does not count: ", record.status().ToString()));
    return;
  }
  const absl::Duration left =
      record->has_deadline_ns()
          ? absl::Nanoseconds(std::min<uint64_t>(record->deadline_ns(), INT64_MAX))
          : absl::InfiniteDuration();
  options_.log->Log(LogLevel::kInfo,
                    absl::StrCat("asked to stop by pid ", record->process().pid(), " on ",
                                 absl::CEscape(record->process().host()), ", uid ",
                                 record->process().uid(), "; what runs may go on for ",
                                 left == absl::InfiniteDuration() ? "as long as it takes"
                                                                  : absl::FormatDuration(left)));
  options_.stop->Ask(absl::Now() + left);
}

void SpoolServer::Accept(const std::string& id) {
  uint32_t slot = spool::ServerDirectory::kNoSlot;
  if (!spool_->network()) {
    absl::MutexLock lock(&mu_);
    if (!free_slots_.empty()) {
      slot = free_slots_.back();
      free_slots_.pop_back();
    }
  }
  if (slot != spool::ServerDirectory::kNoSlot) directory_->doorbell()->ClearSlot(slot);
  const auto admit = [this](uint32_t uid, uint32_t gid) {
    return CheckPolicy(options_.policy, {uid, gid});
  };
  auto accepted = directory_->Accept(id, admit, slot, options_.log_capacity,
                                     options_.max_request_size, buffer_.get());
  if (!accepted.ok()) {
    if (slot != spool::ServerDirectory::kNoSlot) {
      absl::MutexLock lock(&mu_);
      free_slots_.push_back(slot);
    }
    if (!absl::IsCancelled(accepted.status()) && !absl::IsNotFound(accepted.status())) {
      Warn(absl::StrCat("session refused: ", accepted.status().ToString()));
    }
    forget_verdicts_[id] =
        env_.clock->Now() + (absl::IsCancelled(accepted.status()) ? 0 : kRefusalTime);
    return;
  }
  if (spool_->network()) {
    touches_[spool::Join(directory_->path(), spool::kVerdicts)] =
        env_.clock->Now() + spool::kTouchAfter;
  }
  ServerSessionOptions options;
  options.env = env_;
  options.host = this;
  options.methods = options_.methods;
  options.spool_path = spool_->root();
  options.own_bell = directory_->doorbell();
  options.slot = slot;
  options.flusher = flushers_.get();
  options.poll_interval = options_.poll_interval;
  options.term = options_.term;
  options.max_request_size = options_.max_request_size;
  options.max_reply_size = options_.max_reply_size;
  options.keep_alive = options_.keep_alive;
  options.bulk_threshold = options_.bulk_threshold;
  options.file_mode = spool_->file_mode();
  options.network = spool_->network();
  options.discard_pending = options_.discard_pending;
  options.server_started = started_;
  options.accepted = *std::move(accepted);
  auto session = std::make_shared<ServerSession>(std::move(options));
  {
    absl::MutexLock lock(&mu_);
    sessions_[id] = session;
    if (slot != spool::ServerDirectory::kNoSlot) slots_[slot] = session;
  }
  options_.log->Log(LogLevel::kDebug, absl::StrCat("session accepted: ", session->peer()));
  const int pidfd = env_.host->OpenPidfd(session->client());
  if (pidfd >= 0) {
    pidfds_[id] = pidfd;
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.u64 = pidfd;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, pidfd, &event) == 0) session->OnClientWatched();
  } else if (env_.host->Look(session->client()) == os::Liveness::kDead) {
    session->OnClientDead();
  }
  pollers_->Add(session);
}

void SpoolServer::RenewLeaseIfDue() {
  const os::Nanos now = env_.clock->Now();
  if (now < next_lease_) return;
  next_lease_ = now + options_.term / 4;
  RenewLease();
  for (MethodEntry* const method : options_.methods->All()) {
    method->requests()->DropOlder(now - kKeepMessages);
    method->replies()->DropOlder(now - kKeepMessages);
  }
}

void SpoolServer::RenewLease() {
  const log::WriterState state = draining() ? log::WriterState::kDraining : log::WriterState::kOpen;
  absl::Status status = directory_->CheckStillThere();
  if (absl::IsFailedPrecondition(status)) {
    StepDown(status);
    return;
  }
  const os::Nanos began = env_.clock->Now();
  if (status.ok()) status = directory_->RenewLease(state, dispatcher_->calls_served());
  const os::Nanos ended = env_.clock->Now();
  // Only what others can still find has been renewed.
  if (status.ok()) status = directory_->CheckStillThere();
  if (status.ok()) status = hold_->Check();
  if (status.ok()) lease_.OnRenewed(began, ended);
  if (absl::IsFailedPrecondition(status)) {
    StepDown(status);
    return;
  }
  if (!status.ok()) Warn(absl::StrCat("cannot renew the lease: ", status.ToString()));
}

void SpoolServer::RemoveEnded(os::Nanos now) {
  const bool more = some_ended_.exchange(false, std::memory_order_acq_rel);
  if (!more && ended_since_.empty()) return;
  for (const auto& session : Sessions()) {
    if (!session->ended()) continue;
    RenewLeaseIfDue();
    const os::Nanos since = ended_since_.emplace(session->id(), now).first->second;
    if (!session->client_closed() && now - since < kGoodbyeTime) continue;
    Bury(session);
  }
}

void SpoolServer::Bury(const std::shared_ptr<ServerSession>& session) {
  const std::string& id = session->id();
  if (const auto it = pidfds_.find(id); it != pidfds_.end()) {
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, it->second, nullptr);
    close(it->second);
    pidfds_.erase(it);
  }
  ended_since_.erase(id);
  graves_[id] = session;
  graves_interval_ = kShortestGravesInterval;
  next_graves_ = 0;
  session->Retire();
  pollers_->Wake(session.get());
  options_.log->Log(LogLevel::kDebug, absl::StrCat("session ended: ", session->peer()));
  // What a dead client left is removed here; one that lives removes its own half.
  if (env_.host->Look(session->client()) == os::Liveness::kDead) {
    os::RemoveTree(env_.calls, spool_->session(id)).IgnoreError();
  }
  absl::MutexLock lock(&mu_);
  if (session->slot() != spool::ServerDirectory::kNoSlot) {
    slots_[session->slot()] = nullptr;
    free_slots_.push_back(session->slot());
  }
  sessions_.erase(id);
}

void SpoolServer::EmptyGraves(bool all) {
  for (auto it = graves_.begin(); it != graves_.end();) {
    if (!all) RenewLeaseIfDue();
    // A handler that still runs for the session keeps its files open.
    if ((all || it->second.expired() || !spool_->network()) && directory_->Forget(it->first)) {
      it = graves_.erase(it);
    } else {
      ++it;
    }
  }
}

bool SpoolServer::Collect() {
  const auto leftovers = collector_->Collect(directory_->id(), [this](const std::string& id) {
    RenewLeaseIfDue();
    absl::MutexLock lock(&mu_);
    return sessions_.count(id) > 0;
  });
  for (const spool::Leftover& leftover : leftovers) {
    // (What cannot be removed is tried again each time.)
    options_.log->Log(
        leftover.status.ok() ? LogLevel::kInfo : LogLevel::kDebug,
        absl::StrCat(leftover.status.ok() ? "removed " : "could not remove ", leftover.path, ": ",
                     leftover.reason, leftover.status.ok() ? "" : "; ", leftover.status.message()));
  }
  return !leftovers.empty() || collector_->waiting() > 0;
}
}  // namespace spoolrpc::server
