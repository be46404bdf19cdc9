#include "spoolrpc/server/spool_server.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "spoolrpc/os/random.h"
#include "spoolrpc/server/service_records.h"

namespace spoolrpc::server {
namespace {

constexpr size_t kBufferSize = 2 * 65536;
constexpr int kIoThreads = 4;
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
  // (All idle sessions go by it.)
  dispatcher.longest_sleep = std::min(dispatcher.longest_sleep, options_.term / 8);
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
  if (spool_->network()) touches_[spool_->servers()] = started_ + spool::kTouchAfter;
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

void SpoolServer::RenewLeaseOf(const std::shared_ptr<ServerSession>& session) {
  absl::MutexLock lock(&renewed_mu_);
  to_renew_.push_back(session);
}

void SpoolServer::LookSoon(const std::vector<ServerSession*>& sessions) {
  pollers_->Wake({sessions.begin(), sessions.end()});
}

void SpoolServer::RenewSessionLeases(exec::TimerQueue* timer) {
  const os::Nanos now = env_.clock->Now();
  std::vector<std::shared_ptr<ServerSession>> sessions;
  std::vector<ServerSession*> added;
  const auto add = [&sessions](std::vector<std::weak_ptr<ServerSession>>* from) {
    for (const auto& weak : *from) {
      if (auto session = weak.lock()) sessions.push_back(std::move(session));
    }
    from->clear();
  };
  {
    absl::MutexLock lock(&renewed_mu_);
    add(&renewed_);
    const size_t old = sessions.size();
    add(&to_renew_);
    for (size_t i = old; i < sessions.size(); ++i) added.push_back(sessions[i].get());
  }
  // One that was idle may not be looked at for long.
  if (!added.empty()) LookSoon(added);
  const auto idle = std::remove_if(
      sessions.begin(), sessions.end(),
      [now](const std::shared_ptr<ServerSession>& session) { return !session->RenewLease(now); });
  {
    absl::MutexLock lock(&renewed_mu_);
    renewed_.assign(sessions.begin(), idle);
  }
  timer->At(now + options_.term / 8, [this, timer] { RenewSessionLeases(timer); });
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
  // system they can still read it then, since they have them open, but for replies in bulk buffers.
  const absl::Time goodbye = absl::Now() + kDrainGoodbyeTime;
  while (absl::Now() < goodbye) {
    bool all = true;
    for (const auto& session : Sessions()) {
      all = all && (session->client_closed() || (!spool_->network() && session->lent() == 0));
    }
    if (all) break;
    poll(nullptr, 0, 2);
  }
  stopping_.store(true, std::memory_order_release);
  Wake();
  housekeeper_.join();
  session_leases_.reset();
  pollers_->Stop();
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
