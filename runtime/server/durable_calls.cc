#include "spoolrpc/server/durable_calls.h"

#include <errno.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/spool/server_list.h"

namespace spoolrpc::server {
namespace {

constexpr os::Nanos kMillisecond = 1000000;
// After a file operation that failed.
constexpr os::Nanos kTryAgain = 1000 * kMillisecond;
// How often the calls that run are looked at, whether somebody has cancelled them.
constexpr os::Nanos kWatchLocal = 100 * kMillisecond;
constexpr os::Nanos kWatchNetwork = 500 * kMillisecond;
// How often what others have claimed is looked at: they may give it back.
constexpr os::Nanos kWatchOthers = 500 * kMillisecond;
// Listing takes at most a tenth of the time.
constexpr os::Nanos kListingShare = 10;
// Who leaves durable calls does not wait for milliseconds; callers of this host ring besides.
constexpr absl::Duration kIdlePoll = absl::Milliseconds(200);
// The same where there are none at all, and all who could leave one ring.
constexpr absl::Duration kEmptyPoll = absl::Seconds(1);
// How many calls a sweep looks at again.
constexpr int kRechecks = 100;
// A `call` is damaged if so many readings say so.
constexpr int kReadings = 3;
constexpr os::Nanos kBetweenReadings = 100 * kMillisecond;

}  // namespace

DurableCalls::DurableCalls(DurableCallsOptions options)
    : options_(std::move(options)),
      store_(options_.spool),
      owners_(options_.spool),
      retention_(&store_) {}

DurableCalls::~DurableCalls() { Stop(); }

void DurableCalls::Start() {
  last_activity_ = options_.env.clock->Now();
  if (options_.retention.has_value()) {
    if (const absl::Status s = spool::WriteRetention(store_, *options_.retention); !s.ok()) {
      options_.host->Warn(absl::StrCat("cannot set the retention: ", s.ToString()));
    }
  }
  thread_ = std::thread([this] { Run(); });
}

void DurableCalls::Wake() {
  absl::MutexLock lock(&mu_);
  woken_ = true;
  changed_.SignalAll();
}

void DurableCalls::StopTaking() {
  absl::MutexLock lock(&taking_mu_);
  taking_ = false;
}

void DurableCalls::CancelAll() {
  std::vector<std::shared_ptr<ServerCall>> calls;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [ticket, weak] : running_) {
      if (auto call = weak.lock()) calls.push_back(std::move(call));
    }
  }
  for (const auto& call : calls) call->Cancel();
}

bool DurableCalls::AwaitReplies(absl::Time deadline) {
  Wake();
  absl::MutexLock lock(&mu_);
  while (!kept_.empty() || publishing_ > 0) {
    if (changed_.WaitWithDeadline(&mu_, deadline)) return kept_.empty() && publishing_ == 0;
  }
  return true;
}

void DurableCalls::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void DurableCalls::OnEnded(const std::string& ticket, End end, os::Nanos delay) {
  absl::MutexLock lock(&mu_);
  running_.erase(ticket);
  ended_.push_back({ticket, end, options_.env.clock->Now() + delay});
  woken_ = true;
  changed_.SignalAll();
}

void DurableCalls::KeepReply(spool::DurableReplyRecord record, std::string body, bool power_loss) {
  absl::MutexLock lock(&mu_);
  kept_.push_back({std::move(record), std::move(body), power_loss});
}

int DurableCalls::free_room() const {
  absl::MutexLock lock(&mu_);
  return options_.room - static_cast<int>(running_.size());
}

// ---------------------------------------------------------------- the thread

void DurableCalls::Run() {
  for (;;) {
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return;
      woken_ = false;
    }
    LookOnce();
    const os::Nanos now = options_.env.clock->Now();
    wait::PollInterval interval = options_.poll_interval;
    interval.min = std::max(interval.min, absl::Milliseconds(options_.spool->network() ? 5 : 2));
    const bool rung = !options_.spool->network() && options_.spool->file_mode() == 0600;
    interval.max = std::max(interval.max, rung && tickets_.empty() ? kEmptyPoll : kIdlePoll);
    os::Nanos next = wait::PollSchedule(interval, last_activity_).Next(now);
    if (want_listing_) next = now;
    next = std::max(next, listed_ + listing_took_ * kListingShare);
    for (const auto& [directory, when] : touches_) next = std::min(next, when);
    const absl::Duration wait = absl::Nanoseconds(std::max<os::Nanos>(0, next - now));
    absl::MutexLock lock(&mu_);
    if (!woken_ && !stopping_) changed_.WaitWithTimeout(&mu_, wait);
  }
}

void DurableCalls::TakeEnded() {
  std::vector<Ended> ended;
  {
    absl::MutexLock lock(&mu_);
    ended.swap(ended_);
  }
  for (const Ended& one : ended) {
    Known& known = known_[one.ticket];
    // Also what is done is looked at once more: if the call was deleted while the reply was being
    // published, that is left.
    known.state = Known::State::kOpen;
    known.claimed = one.end != End::kLookAgain;
    known.finished = known.finished || one.end == End::kDone;
    known.next_look = one.look_again;
    last_activity_ = options_.env.clock->Now();
    if (one.end == End::kDone && options_.spool->network()) {
      touches_[options_.spool->durable_call(one.ticket)] = last_activity_ + spool::kTouchAfter;
    }
  }
}

void DurableCalls::PublishKept() {
  std::vector<Kept> kept;
  {
    absl::MutexLock lock(&mu_);
    kept.swap(kept_);
    publishing_ = static_cast<int>(kept.size());
  }
  for (Kept& one : kept) {
    const auto published = store_.Reply(one.record, one.body, one.power_loss);
    const bool done = published.ok() || absl::IsNotFound(published.status());
    if (done) {
      OnEnded(one.record.ticket(), End::kDone, 0);
    } else {
      KeepReply(std::move(one.record), std::move(one.body), one.power_loss);
    }
    absl::MutexLock lock(&mu_);
    --publishing_;
    changed_.SignalAll();
  }
}

void DurableCalls::WatchRunning() {
  std::vector<std::pair<std::string, std::weak_ptr<ServerCall>>> running;
  {
    absl::MutexLock lock(&mu_);
    running.assign(running_.begin(), running_.end());
  }
  for (const auto& [ticket, weak] : running) {
    const auto state = store_.Look(ticket);
    const bool unwanted =
        state.ok() ? !state->call || state->reply : absl::IsNotFound(state.status());
    if (!unwanted) continue;
    if (const auto call = weak.lock()) call->Cancel();
  }
}

void DurableCalls::ListAnew() {
  const os::Nanos began = options_.env.clock->Now();
  // Whoever woke this thread may only have made room for what has been listed already.
  want_listing_ = began < listed_ + listing_took_ * kListingShare;
  if (want_listing_) return;
  auto tickets = store_.List();
  listed_ = options_.env.clock->Now();
  listing_took_ = listed_ - began;
  if (!tickets.ok()) return;
  tickets_ = *std::move(tickets);
  const std::set<std::string> there(tickets_.begin(), tickets_.end());
  for (auto it = known_.begin(); it != known_.end();) {
    const bool gone = it->second.state != Known::State::kOurs && there.count(it->first) == 0;
    it = gone ? known_.erase(it) : std::next(it);
  }
}

void DurableCalls::LookOnce() {
  const os::Nanos began = options_.env.clock->Now();
  TakeEnded();
  for (auto it = touches_.begin(); it != touches_.end();) {
    if (began < it->second) {
      ++it;
      continue;
    }
    options_.spool->Touch(it->first);
    it = touches_.erase(it);
  }
  if (began >= next_watch_) {
    PublishKept();
    WatchRunning();
    owners_.Prune();
    next_watch_ = began + (options_.spool->network() ? kWatchNetwork : kWatchLocal);
  }
  ListAnew();
  for (const std::string& ticket : tickets_) {
    Known& known = known_[ticket];
    if (known.state != Known::State::kOpen || options_.env.clock->Now() < known.next_look) continue;
    // What nobody works on waits until there is room. What others have claimed is looked at all the
    // same: their leases are watched.
    if (!known.claimed && free_room() <= 0) continue;
    LookAt(ticket, &known);
  }
  if (options_.env.clock->Now() >= next_sweep_) {
    Sweep();
    next_sweep_ = options_.env.clock->Now() + options_.lease->term();
  }
}

void DurableCalls::Sweep() {
  using Kind = spool::DurableRetention::Kind;
  const auto deleted = retention_.Sweep(tickets_, [this](const std::string& ticket) {
    const Known& known = known_[ticket];
    if (known.state == Known::State::kDone) return Kind::kFinished;
    const bool busy = known.state == Known::State::kOurs || known.claimed;
    return busy ? Kind::kBusy : Kind::kOther;
  });
  if (!deleted.ok()) options_.host->Warn(deleted.status().ToString());
  // Of the calls that are done, some at a time: whether a deletion has left anything, as it does
  // where somebody had a file open on NFS.
  auto it = known_.upper_bound(rechecked_);
  for (int i = 0; i < kRechecks && it != known_.end(); ++i, ++it) {
    rechecked_ = it->first;
    if (it->second.state == Known::State::kOurs) continue;
    const auto state = store_.Look(it->first);
    if (state.ok() && !state->call) store_.RemoveRest(it->first).IgnoreError();
  }
  if (it == known_.end()) rechecked_.clear();
}

void DurableCalls::Fail(const absl::Status& status, Known* known) {
  if (absl::IsNotFound(status)) {
    known->next_look = options_.env.clock->Now();  // the next listing says more
    return;
  }
  // It is tried again and again, and said once.
  if (!known->warned) options_.host->Warn(status.ToString());
  known->warned = true;
  known->next_look = options_.env.clock->Now() + kTryAgain;
}

void DurableCalls::PublishReply(const std::string& ticket, const absl::Status& status,
                                int32_t reason, bool may_have_executed, bool power_loss,
                                Known* known) {
  auto record = spool::DurableStore::MakeReply(ticket, status, reason, may_have_executed);
  record.set_server_id(options_.server_id);
  const auto published = store_.Reply(std::move(record), "", power_loss);
  if (!published.ok()) {
    Fail(published.status(), known);
    return;
  }
  known->state = Known::State::kDone;
  if (options_.spool->network()) {
    touches_[options_.spool->durable_call(ticket)] = options_.env.clock->Now() + spool::kTouchAfter;
  }
}

void DurableCalls::LookAt(const std::string& ticket, Known* known) {
  known->claimed = false;
  const auto state = store_.Look(ticket);
  if (!state.ok()) {
    Fail(state.status(), known);
    // No directory: nothing of ours.
    if (os::ErrnoOf(state.status()) == ENOTDIR) known->state = Known::State::kNotOurs;
    return;
  }
  if (!state->call) {
    // It was deleted, and what is left is anybody's to remove.
    if (!store_.RemoveRest(ticket).ok()) known->next_look = options_.env.clock->Now() + kTryAgain;
    return;
  }
  if (state->reply) {
    known->state = Known::State::kDone;
    return;
  }
  if (known->record == nullptr && !ReadCall(ticket, *state, known)) return;
  if (known->finished && !known->record->idempotent()) {
    // What was listed is older than the reply, or its directory was not found as that was
    // published: whichever it is, the first reply wins, and nothing is begun once more.
    PublishReply(ticket,
                 absl::UnavailableError(absl::StrCat(known->record->header().method(),
                                                     ": the reply of the call was lost")),
                 ErrorInfo::SERVER_LOST, /*may_have_executed=*/true,
                 known->record->survives_power_loss(), known);
    return;
  }
  const MethodEntry* const method = options_.methods->Find(known->record->header().method());
  if (method == nullptr || method->info().kind != MethodKind::kUnary ||
      known->record->header().kind() != wire::METHOD_KIND_UNARY) {
    known->state = Known::State::kNotOurs;
    return;
  }
  if (!OwnerGone(ticket, *state, known)) return;
  if (free_room() <= 0) return;
  Claim(ticket, state->claims + 1, known);
}

bool DurableCalls::ReadCall(const std::string& ticket, const spool::DurableStore::State& state,
                            Known* known) {
  auto record = store_.ReadCall(ticket);
  if (record.ok()) {
    known->record = std::make_shared<spool::DurableCallRecord>(*std::move(record));
    return true;
  }
  if (absl::IsFailedPrecondition(record.status())) {
    known->state = Known::State::kNotOurs;  // of a newer version
  } else if (!absl::IsDataLoss(record.status())) {
    Fail(record.status(), known);
  } else if (++known->damaged < kReadings) {
    known->next_look = options_.env.clock->Now() + kBetweenReadings;
  } else {
    options_.host->Warn(record.status().ToString());
    PublishReply(ticket, record.status(), ErrorInfo::SESSION_CORRUPT,
                 /*may_have_executed=*/state.claims > 0 || state.started, /*power_loss=*/true,
                 known);
  }
  return false;
}

bool DurableCalls::OwnerGone(const std::string& ticket, const spool::DurableStore::State& state,
                             Known* known) {
  const bool power_loss = known->record->survives_power_loss();
  const auto alive = [&] {
    known->claimed = true;
    const os::Nanos now = options_.env.clock->Now();
    known->next_look = std::min(owners_.next_look(), now + kWatchOthers);
    return false;
  };
  bool started_damaged = false;
  if (state.started && !known->record->idempotent()) {
    const auto started = store_.ReadStarted(ticket);
    if (started.ok()) {
      if (started->server_id().empty()) {
        // As for one's own: only while `call` is there nobody has deleted another's `started`.
        if (const auto again = store_.Look(ticket); !again.ok() || !again->call) return false;
        PublishReply(ticket, absl::CancelledError("the durable call was cancelled"),
                     ErrorInfo::CANCELLED, /*may_have_executed=*/false, power_loss, known);
        return false;
      }
      // This server's own, of an attempt that failed before the handler was run.
      if (started->server_id() == options_.server_id) return true;
      if (!owners_.Gone(started->server_id(), started->process(), started->lease_term_ns())) {
        return alive();
      }
      PublishReply(ticket,
                   absl::UnavailableError(
                       absl::StrCat(known->record->header().method(), ": the server ",
                                    spool::IdName(started->server_id()), " on ",
                                    started->process().host(), ", pid ", started->process().pid(),
                                    ", which had started the call, died or let its lease expire")),
                   ErrorInfo::SERVER_LOST, /*may_have_executed=*/true, power_loss, known);
      return false;
    }
    if (!absl::IsDataLoss(started.status())) {
      Fail(started.status(), known);
      return false;
    }
    started_damaged = true;
  }
  if (state.claims > 0) {
    const auto claim = store_.ReadClaim(ticket, state.claims);
    if (claim.ok()) {
      if (!claim->server_id().empty() && claim->server_id() != options_.server_id &&
          !owners_.Gone(claim->server_id(), claim->process(), claim->lease_term_ns())) {
        return alive();
      }
    } else if (!absl::IsDataLoss(claim.status())) {
      Fail(claim.status(), known);
      return false;
    }
  }
  if (started_damaged) {
    PublishReply(ticket,
                 absl::DataLossError(absl::StrCat(
                     "read ", options_.spool->durable_call(ticket), "/", spool::kStarted,
                     ": damaged; nobody can tell whether the call was executed")),
                 ErrorInfo::SESSION_CORRUPT, /*may_have_executed=*/true, power_loss, known);
    return false;
  }
  return true;
}

// ---------------------------------------------------------------- taking

void DurableCalls::Claim(const std::string& ticket, uint32_t number, Known* known) {
  absl::MutexLock taking(&taking_mu_);
  const os::Nanos now = options_.env.clock->Now();
  // Before the claim: what lapses after it counts.
  const auto lapses = options_.lease->Take(now);
  if (!taking_ || options_.host->draining() || !lapses.has_value()) {
    known->next_look = now + std::min(options_.lease->term() / 8, kTryAgain);
    return;
  }
  spool::DurableClaimRecord record;
  record.set_ticket(ticket);
  record.set_number(number);
  record.set_server_id(options_.server_id);
  *record.mutable_process() = spool::ToProcessIdentity(options_.env.host->Self());
  record.set_lease_term_ns(options_.lease->term());
  record.set_claimed_at(absl::ToUnixSeconds(options_.env.clock->WallTime()));
  const auto won = store_.Claim(record);
  if (!won.ok()) {
    Fail(won.status(), known);
    return;
  }
  if (!*won) {
    known->claimed = true;  // by another, whose lease is watched from now on
    return;
  }
  known->state = Known::State::kOurs;
  last_activity_ = now;
  {
    absl::MutexLock lock(&mu_);
    running_[ticket];
  }
  Dispatch(std::make_shared<DurableCall>(this, *known->record, *lapses, number), *known->record);
}

absl::Status DurableCalls::SetTimeout(const spool::DurableCallRecord& record,
                                      wire::CallHeader* header) {
  if (header->has_timeout_ns()) {
    const auto now = store_.Now();
    if (!now.ok()) return now.status();
    const auto submitted = store_.ModifiedTime(record.ticket(), spool::kCall);
    if (!submitted.ok()) return submitted.status();
    const uint64_t age = std::max<int64_t>(0, *now - *submitted);
    header->set_timeout_ns(header->timeout_ns() - std::min(header->timeout_ns(), age));
  }
  if (record.has_handler_timeout_ns() &&
      (!header->has_timeout_ns() || record.handler_timeout_ns() < header->timeout_ns())) {
    header->set_timeout_ns(record.handler_timeout_ns());
  }
  return absl::OkStatus();
}

void DurableCalls::Dispatch(const std::shared_ptr<DurableCall>& session,
                            const spool::DurableCallRecord& record) {
  MethodEntry* const method = options_.methods->Find(record.header().method());
  wire::CallHeader header = record.header();
  const auto request = store_.ReadRequest(record.ticket(), options_.max_request_size);
  absl::Status failed = request.status();
  const PeerIdentity caller_id =
      request.ok() ? PeerIdentity{request->uid, request->gid} : PeerIdentity{};
  if (failed.ok() && options_.policy != nullptr) {
    // Of the file whose bytes were read: the name may be another user's by now.
    const absl::Status allowed = CheckPolicy(*options_.policy, caller_id);
    if (!allowed.ok()) {
      session->Refuse(absl::PermissionDeniedError(absl::StrCat(
                          "the durable call ", spool::IdName(record.ticket()), ": belongs to uid ",
                          caller_id.uid, ", ", allowed.message())),
                      ErrorInfo::PERMISSION_DENIED);
      return;
    }
  }
  if (failed.ok()) failed = SetTimeout(record, &header);
  if (absl::IsResourceExhausted(failed)) {
    session->Refuse(failed, ErrorInfo::MESSAGE_TOO_LARGE);
    return;
  }
  if (absl::IsDataLoss(failed)) {
    session->Refuse(failed, ErrorInfo::SESSION_CORRUPT);
    return;
  }
  if (!failed.ok()) {
    options_.host->Warn(failed.ToString());
    session->GiveBack(kTryAgain);
    return;
  }
  const spool::ProcessIdentity& caller = record.process();
  auto peer = std::make_shared<const std::string>(absl::StrCat(
      "spool:", options_.spool->root(), "#", spool::kDurable, "/", spool::IdName(record.ticket()),
      " ", caller.host(), ":", caller.pid(), " uid ", caller_id.uid));
  auto call =
      std::make_shared<ServerCall>(session, /*id=*/1, method, header,
                                   Peer{std::move(peer), caller_id}, options_.env.clock->Now());
  if (absl::Status parsed = call->ParseRequest(request->bytes, /*compressed=*/false);
      !parsed.ok()) {
    session->Refuse(parsed, ErrorInfo::BAD_MESSAGE);
    return;
  }
  {
    absl::MutexLock lock(&mu_);
    running_[record.ticket()] = call;
  }
  options_.host->Dispatch({std::move(call)}, /*inline_allowed=*/false);
}

}  // namespace spoolrpc::server
