#include "spoolrpc/server/spool_server.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/random.h"
#include "spoolrpc/server/service_records.h"

namespace spoolrpc::server {
namespace {

// How long the memory of large messages is kept for the next ones.
constexpr os::Nanos kKeepMessages = os::Nanos{10} * 1000000000;

constexpr size_t kBufferSize = 2 * 65536;
constexpr os::Nanos kMillisecond = 1000000;
constexpr os::Nanos kTouchAfter = 20 * kMillisecond;
// How long an ended session's files stay for the client to read the goodbye.
constexpr os::Nanos kGoodbyeTime = 3000 * kMillisecond;
// How long a refused client may take to read why.
constexpr os::Nanos kRefusalTime = 60000 * kMillisecond;
// How often the server looks whether an ended session's client has removed its half.
constexpr os::Nanos kShortestGravesInterval = 20 * kMillisecond;
constexpr os::Nanos kLongestGravesInterval = 2000 * kMillisecond;
constexpr int kIoThreads = 4;
// How often a local inbox is looked at all the same that nobody but the owner's programs uses.
constexpr absl::Duration kOwnersInboxLook = absl::Seconds(1);
constexpr absl::Duration kDeadlineLook = absl::Milliseconds(50);
constexpr absl::Duration kDrainGoodbyeTime = absl::Seconds(2);
// How long a server that shuts down waits for clients to make room for replies.
constexpr absl::Duration kDrainReplyTime = absl::Seconds(10);

}  // namespace

SpoolServer::SpoolServer(const SpoolServerOptions& options)
    : options_(options), env_(options.env), lease_(options.term), timers_(options.env.clock) {}

absl::StatusOr<std::unique_ptr<SpoolServer>> SpoolServer::Start(const SpoolServerOptions& options) {
  auto server = std::unique_ptr<SpoolServer>(new SpoolServer(options));
  if (absl::Status s = server->Begin(); !s.ok()) return s;
  return server;
}

absl::Status SpoolServer::Begin() {
  spool::ServerRecord record;
  record.set_lease_term_ns(options_.term);
  if (absl::Status s = AddServices(*options_.methods, &record); !s.ok()) return s;
  std::vector<std::string> names;
  for (const auto& service : record.services()) names.push_back(service.name());
  auto spool = spool::Spool::OpenOrCreate(env_, options_.path, options_.transport, options_.access);
  if (!spool.ok()) return spool.status();
  spool_ = *std::move(spool);
  started_ = env_.clock->Now();
  buffer_ = std::make_unique<log::AlignedBuffer>(kBufferSize);
  collector_ = std::make_unique<spool::Collector>(spool_);
  collector_->Collect("", [](const std::string&) { return false; });
  if (absl::Status s = Publish(std::move(record)); !s.ok()) return s;
  options_.log->OpenFile(*spool_, directory_->id());
  options_.log->Log(
      LogLevel::kInfo,
      absl::StrCat("serving ", absl::StrJoin(names, ", "), " on spool:", spool_->root(), " (",
                   spool_->file_system().name, spool_->network() ? ", network rules" : ", local",
                   ") as ", spool::IdName(directory_->id())));
  {
    absl::MutexLock lock(&mu_);
    slots_.resize(directory_->doorbell()->slots());
    for (uint32_t i = directory_->doorbell()->slots(); i > 0; --i) free_slots_.push_back(i - 1);
  }
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event = {};
  event.events = EPOLLIN;
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event);
  if (spool_->network()) flushers_ = std::make_unique<link::FlusherThreads>(kIoThreads);
  pollers_ = std::make_unique<link::PollerThreads>(env_.clock, spool_->network() ? kIoThreads : 1);
  DispatcherOptions dispatcher;
  dispatcher.methods = options_.methods;
  dispatcher.env = env_;
  dispatcher.workers = options_.workers;
  dispatcher.max_queued = options_.max_queued;
  dispatcher.max_streams = options_.max_streams;
  dispatcher.spin = options_.spin;
  dispatcher.metrics = options_.metrics;
  dispatcher.timers = &timers_;
  dispatcher.bell = spool_->network() ? nullptr : directory_->doorbell();
  dispatcher.on_rung = [this](uint32_t slot, log::AlignedBuffer* buffer) {
    return OnRung(slot, buffer);
  };
  dispatcher.on_failure = [this](const absl::Status& failure) { OnHandlerFailed(failure); };
  dispatcher.on_inbox = [this] {
    durable_rung_.store(true, std::memory_order_release);
    inbox_rung_.store(true, std::memory_order_release);
    Wake();
  };
  dispatcher_ = std::make_unique<Dispatcher>(std::move(dispatcher));
  dispatcher_->Start();
  DurableCallsOptions durable;
  durable.env = env_;
  durable.spool = spool_;
  durable.server_id = directory_->id();
  durable.methods = options_.methods;
  durable.host = this;
  durable.policy = &options_.policy;
  durable.lease = &lease_;
  durable.retention = options_.retention;
  durable.room = DurableRoom();
  durable.max_request_size = options_.max_request_size;
  durable.max_reply_size = options_.max_reply_size;
  durable.poll_interval = options_.poll_interval;
  durable_ = std::make_unique<DurableCalls>(std::move(durable));
  durable_->Start();
  if (spool_->network()) touches_[spool_->servers()] = started_ + kTouchAfter;
  session_leases_ = std::make_unique<exec::TimerQueue>(env_.clock);
  RenewSessionLeases(session_leases_.get());
  housekeeper_ = std::thread([this] { Housekeep(); });
  return absl::OkStatus();
}

absl::Status SpoolServer::Publish(spool::ServerRecord record) {
  record.set_server_id(os::RandomBytes(spool::kIdSize));
  spool::ExclusiveOptions exclusive;
  exclusive.mode = options_.exclusive;
  exclusive.server_id = record.server_id();
  exclusive.term_ns = record.lease_term_ns();
  exclusive.grace = options_.grace;
  hold_ = std::make_unique<spool::ExclusiveHold>(spool_, std::move(exclusive));
  if (absl::Status s = hold_->Enter(); !s.ok()) return s;
  auto directory = spool::ServerDirectory::Publish(spool_, std::move(record));
  absl::Status status = directory.status();
  if (status.ok()) {
    directory_ = *std::move(directory);
    status = hold_->Confirm();
    if (status.ok()) return status;
    directory_->Remove();
  }
  hold_->Release();
  return status;
}

bool SpoolServer::MayExecute(os::Nanos now) const {
  // Renewed, and seen since then that nobody else had taken the spool.
  return options_.exclusive == spool::ExclusiveMode::kShared || lease_.Take(now).has_value();
}

int SpoolServer::DurableRoom() const {
  // Enough to keep every worker busy and every batch full, and not more: what one server has
  // claimed no other one can run.
  int room = 2 * options_.workers;
  for (const MethodEntry* const method : options_.methods->All()) {
    room = std::max(room, 2 * method->concurrency());
    if (method->batches()) room = std::max(room, 2 * method->batch().max_size);
  }
  return room;
}

SpoolServer::~SpoolServer() {
  Drain();
  for (const auto& [id, fd] : pidfds_) close(fd);
  if (epoll_fd_ >= 0) close(epoll_fd_);
  if (wake_fd_ >= 0) close(wake_fd_);
}

void SpoolServer::RunReaction(std::function<void()> reaction) {
  dispatcher_->RunReaction(std::move(reaction));
}

void SpoolServer::Warn(const std::string& message) {
  options_.log->Log(LogLevel::kWarning, message);
}

void SpoolServer::OnHandlerFailed(const absl::Status& failure) { options_.failures->Add(failure); }

void SpoolServer::OnBatch(const MethodEntry& method, int size) {
  if (method.metrics() != nullptr) method.metrics()->OnBatch(size);
}

void SpoolServer::Wake() { eventfd_write(wake_fd_, 1); }

void SpoolServer::Dispatch(std::vector<std::shared_ptr<ServerCall>> calls, bool inline_allowed) {
  dispatcher_->Dispatch(std::move(calls), inline_allowed);
}

void SpoolServer::OnSessionEnded(ServerSession* session, bool client_gone) {
  some_ended_.store(true, std::memory_order_release);
  Wake();
}

int SpoolServer::OnRung(uint32_t slot, log::AlignedBuffer* buffer) {
  std::shared_ptr<ServerSession> session;
  {
    absl::MutexLock lock(&mu_);
    if (slot < slots_.size()) session = slots_[slot];
  }
  return session == nullptr ? 0 : session->OnRung(buffer);
}

std::vector<std::shared_ptr<ServerSession>> SpoolServer::Sessions() {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<ServerSession>> sessions;
  for (const auto& [id, session] : sessions_) sessions.push_back(session);
  return sessions;
}

absl::Status SpoolServer::stepped_down_status() const {
  absl::MutexLock lock(&mu_);
  return stepped_down_status_;
}

void SpoolServer::RenewSessionLeases(exec::TimerQueue* timer) {
  const os::Nanos now = env_.clock->Now();
  for (const auto& session : Sessions()) session->RenewLease(now);
  timer->At(now + options_.term / 8, [this, timer] { RenewSessionLeases(timer); });
}

// ---------------------------------------------------------------- the housekeeper

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
      interval.max = std::max(interval.max, kOwnersInboxLook);
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
    Collect();
    next_collection_ = env_.clock->Now() + options_.term;
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
    touches_[spool::Join(directory_->path(), spool::kVerdicts)] = env_.clock->Now() + kTouchAfter;
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
    epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, pidfd, &event);
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
  if (pollers_ != nullptr) pollers_->Wake(session.get());
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

void SpoolServer::Collect() {
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
}

void SpoolServer::StepDown(const absl::Status& why) {
  {
    absl::MutexLock lock(&mu_);
    if (!stepped_down_status_.ok()) return;
    stepped_down_status_ = why;
  }
  draining_.store(true, std::memory_order_release);
  options_.log->Log(LogLevel::kError, absl::StrCat("stepping down: ", why.ToString()));
  for (const auto& session : Sessions()) {
    session->End(wire::Goodbye::STEPPED_DOWN, std::string(why.message()), false);
  }
  stepped_down_.Notify();
}

bool SpoolServer::AwaitIdle() {
  for (;;) {
    const absl::Time now = absl::Now();
    const absl::Time deadline = options_.stop->deadline();
    // In steps: the deadline may be brought forward.
    if (dispatcher_->WaitIdle(std::min(deadline, now + kDeadlineLook))) return true;
    if (deadline <= absl::Now()) return false;
  }
}

void SpoolServer::Drain() {
  if (!housekeeper_.joinable()) return;
  draining_.store(true, std::memory_order_release);
  options_.log->Log(LogLevel::kInfo, absl::StrCat("draining ", spool_->root()));
  {
    // A session that is being accepted just now is there from here on, and no more are accepted.
    absl::MutexLock accepting(&accept_mu_);
  }
  durable_->StopTaking();
  for (const auto& session : Sessions()) session->Drain();
  for (const auto& call : dispatcher_->TakeQueued()) {
    call->session()->RejectCall(call, wire::NOT_STARTED_DRAINING,
                                absl::UnavailableError("the server is draining"));
  }
  if (!AwaitIdle()) {
    for (const auto& session : Sessions()) session->CancelAll();
    durable_->CancelAll();
    dispatcher_->WaitIdle(absl::InfiniteFuture());
  }
  // Replies that wait for room are still delivered: a goodbye would pass them.
  const absl::Time delivered = absl::Now() + kDrainReplyTime;
  const auto backlogged = [this] {
    const auto sessions = Sessions();
    return std::any_of(sessions.begin(), sessions.end(),
                       [](const auto& session) { return session->backlogged(); });
  };
  while (backlogged() && absl::Now() < delivered) poll(nullptr, 0, 2);
  if (!durable_->AwaitReplies(delivered)) Warn("replies of durable calls could not be written");
  for (const auto& session : Sessions()) session->End(wire::Goodbye::DRAINED, "", false);
  // The clients are given a moment to read the goodbye before their files go. On a local file
  // system they can still read it then: they have them open.
  const absl::Time goodbye = absl::Now() + kDrainGoodbyeTime;
  while (absl::Now() < goodbye) {
    bool all = true;
    for (const auto& session : Sessions()) {
      all = all && (session->client_closed() || !spool_->network());
    }
    if (all) break;
    poll(nullptr, 0, 2);
  }
  stopping_.store(true, std::memory_order_release);
  Wake();
  housekeeper_.join();
  session_leases_.reset();
  pollers_.reset();
  dispatcher_->Stop();
  durable_->Stop();
  flushers_.reset();
  for (const auto& session : Sessions()) Bury(session);
  EmptyGraves(/*all=*/true);
  directory_->RenewLease(log::WriterState::kClosed, dispatcher_->calls_served()).IgnoreError();
  hold_->Release();
  directory_->Remove();
  options_.log->Log(LogLevel::kInfo,
                    absl::StrCat("stopped after ", dispatcher_->calls_served(), " calls"));
  options_.log->Drain();
}

}  // namespace spoolrpc::server
