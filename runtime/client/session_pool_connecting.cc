// How a channel finds servers and gets sessions with them; on the pool's thread.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "spoolrpc/client/session_pool.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/reason.h"
#include "spoolrpc/spool/verdict.h"

namespace spoolrpc::client {
namespace {

constexpr os::Nanos kMillisecond = 1000000;
constexpr int kMaxIoThreads = 8;

}  // namespace

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
  if (spool_->network()) pending->touch_at = pending->published + spool::kTouchAfter;
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
