// The names `servers/exclusive.N` are a chain: whoever links the next one has the spool, once it
// has seen that nobody else serves it. docs/protocol.md, section 12, has the steps and says why
// they are enough; "step" below refers to those.

#include "spoolrpc/spool/exclusive.h"

#include <poll.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/durable_files.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/stop_request.h"
#include "spoolrpc/spool/stop_servers.h"

namespace spoolrpc::spool {
namespace {

constexpr int kPauseMilliseconds = 20;
// A shared server that sees the claim goes away within this time.
constexpr os::Nanos kGiveWayLocal = os::Nanos{1} * 1000000000;
constexpr os::Nanos kGiveWayNetwork = os::Nanos{3} * 1000000000;
// What a server takes to stop beyond the deadline: its clients get 12 s to take what it has for
// them.
constexpr absl::Duration kForceMargin = absl::Seconds(30);
// After so many terms it is known whether a lease moves, if it can be read at all.
constexpr int kTermsWatched = 3;
constexpr os::Nanos kShortestTerm = os::Nanos{100} * 1000000;
constexpr os::Nanos kLongestTerm = os::Nanos{86400} * 1000000000;
// Names that stay: a listing would have to be older than so many changes to mislead.
constexpr uint32_t kNamesKept = 8;

void Pause() { poll(nullptr, 0, kPauseMilliseconds); }

std::string NameOfNumber(uint32_t number) { return absl::StrCat(kExclusive, number); }

}  // namespace

ExclusiveHold::ExclusiveHold(std::shared_ptr<const Spool> spool, ExclusiveOptions options)
    : spool_(std::move(spool)), options_(std::move(options)), list_(spool_), watch_(spool_) {}

absl::StatusOr<ExclusiveHold::Top> ExclusiveHold::ReadTop() {
  const auto names = os::ListDirectory(spool_->env().calls, spool_->servers());
  if (!names.ok()) return names.status();
  std::set<uint32_t> numbers;
  for (const std::string& name : *names) {
    if (const uint32_t number = NumberBehind(kExclusive, name); number > 0) numbers.insert(number);
  }
  Top top;
  for (auto it = numbers.rbegin(); it != numbers.rend() && top.number == 0; ++it) {
    if (spool_->group().has_value()) {
      // What a member has linked who may not serve is no part of the chain.
      const auto info =
          os::StatPath(spool_->env().calls, Join(spool_->servers(), NameOfNumber(*it)));
      if (!info.ok()) return info.status();
      if (!spool_->MayServe(info->uid)) continue;
    }
    top.number = *it;
  }
  top.next = top.number + 1;
  while (numbers.count(top.next) > 0) ++top.next;
  if (top.number == 0) return top;
  const std::string path = Join(spool_->servers(), NameOfNumber(top.number));
  auto file = DurableFile::Open(*spool_, path, DurableWriters{});
  absl::Status status = file.status();
  ExclusiveRecord record;
  if (status.ok()) status = file->ReadRecord(RecordKind::kExclusive, &record);
  // A damaged one, or a stranger's, names nobody.
  if (absl::IsDataLoss(status)) return top;
  if (!status.ok()) return status;
  if (record.number() == top.number && record.server_id().size() == kIdSize) top.holder = record;
  return top;
}

bool ExclusiveHold::RenewedLately(const ServerEntry& server) {
  if (!spool_->file_system().local || server.liveness != os::Liveness::kAlive) return false;
  const auto lease = os::StatPath(spool_->env().calls, Join(server.directory, kLease));
  if (!lease.ok()) return false;
  const absl::Duration age =
      spool_->env().clock->WallTime() - absl::FromUnixNanos(lease->modified_ns);
  return age >= absl::ZeroDuration() && age < absl::Nanoseconds(server.record->lease_term_ns()) / 2;
}

OwnerWatch::Life ExclusiveHold::Look(const ServerEntry& server) {
  const auto life =
      watch_.Look(server.id, server.record->process(), server.record->lease_term_ns());
  if (life != OwnerWatch::Life::kUnsettled) return life;
  const os::Nanos now = spool_->env().clock->Now();
  const os::Nanos since = watched_since_.emplace(server.id, now).first->second;
  const auto term = static_cast<os::Nanos>(std::min<uint64_t>(
      std::max<uint64_t>(server.record->lease_term_ns(), kShortestTerm), kLongestTerm));
  if (RenewedLately(server) || now - since > kTermsWatched * term) return OwnerWatch::Life::kAlive;
  return life;
}

absl::StatusOr<std::vector<ServerEntry>> ExclusiveHold::Others(
    const std::optional<ExclusiveRecord>& holder) {
  auto servers = list_.Refresh();
  if (!servers.ok()) return servers.status();
  const auto named = [&](const ServerEntry& entry) {
    return holder.has_value() && entry.id == holder->server_id();
  };
  // (It may not have published its directory yet.)
  if (holder.has_value() && holder->server_id() != options_.server_id &&
      std::none_of(servers->begin(), servers->end(), named)) {
    ServerEntry entry;
    entry.id = holder->server_id();
    entry.directory = spool_->server(entry.id);
    auto record = std::make_shared<ServerRecord>();
    *record->mutable_process() = holder->process();
    record->set_lease_term_ns(holder->lease_term_ns());
    entry.record = std::move(record);
    entry.liveness = spool_->env().host->Look(ToProcessId(holder->process()));
    servers->push_back(std::move(entry));
  }
  const auto gone = [&](const ServerEntry& entry) {
    return entry.id == options_.server_id || Look(entry) == OwnerWatch::Life::kGone;
  };
  servers->erase(std::remove_if(servers->begin(), servers->end(), gone), servers->end());
  return servers;
}

absl::Status ExclusiveHold::Refused(const ServerEntry& server) const {
  return absl::AlreadyExistsError(absl::StrCat(
      "spool ", spool_->root(),
      options_.mode == ExclusiveMode::kShared ? ": is served exclusively by the server "
                                              : ": cannot be served exclusively beside the server ",
      NameOf(server), "; stop that one first (spoolrpc stop ", spool_->root(), ")",
      options_.mode == ExclusiveMode::kShared ? "" : ", or take over with ExclusiveMode::kForce"));
}

// ---------------------------------------------------------------- coming up

absl::Status ExclusiveHold::Enter() {
  return options_.mode == ExclusiveMode::kShared ? EnterShared() : EnterAlone();
}

absl::Status ExclusiveHold::EnterShared() {
  for (;;) {
    const auto top = ReadTop();
    if (!top.ok()) return top.status();
    seen_ = top->number;
    if (!top->holder.has_value()) return absl::OkStatus();
    const auto others = Others(top->holder);
    if (!others.ok()) return others.status();
    const auto holder = std::find_if(others->begin(), others->end(), [&](const auto& entry) {
      return entry.id == top->holder->server_id();
    });
    if (holder == others->end()) return absl::OkStatus();
    if (Look(*holder) == OwnerWatch::Life::kAlive) return Refused(*holder);
    Pause();
  }
}

void ExclusiveHold::AskOnce(const std::vector<ServerEntry>& servers) {
  for (const ServerEntry& server : servers) {
    if (asked_.count(server.id) > 0) continue;
    // What could not be asked is asked again.
    if (AskToStop(*spool_, server, options_.grace).ok()) asked_.insert(server.id);
  }
}

absl::Status ExclusiveHold::EnterAlone() {
  const bool force = options_.mode == ExclusiveMode::kForce;
  const os::Nanos deadline = os::After(spool_->env().clock->Now(), options_.grace + kForceMargin);
  for (;;) {
    const auto top = ReadTop();
    if (!top.ok()) return top.status();
    const auto others = Others(top->holder);
    if (!others.ok()) return others.status();
    if (others->empty()) {
      const auto claimed = Claim(*top);
      if (!claimed.ok()) return claimed.status();
      if (*claimed) return absl::OkStatus();
      continue;
    }
    if (force) {
      AskOnce(*others);
      if (spool_->env().clock->Now() >= deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat("spool ", spool_->root(), ": the server ", NameOf(others->front()),
                         ", which was asked to stop, is still there after ",
                         absl::FormatDuration(options_.grace + kForceMargin)));
      }
    } else {
      for (const ServerEntry& server : *others) {
        if (Look(server) == OwnerWatch::Life::kAlive) return Refused(server);
      }
    }
    Pause();
  }
}

absl::StatusOr<bool> ExclusiveHold::Claim(const Top& top) {
  if (top.next > kMaxNumber) {
    return absl::ResourceExhaustedError(
        absl::StrCat("link ", spool_->servers(), "/", kExclusive, "N: all numbers are used"));
  }
  ExclusiveRecord record;
  record.set_number(top.next);
  record.set_server_id(options_.server_id);
  *record.mutable_process() = ToProcessIdentity(spool_->env().host->Self());
  record.set_lease_term_ns(options_.term_ns);
  record.set_claimed_at(absl::ToUnixSeconds(spool_->env().clock->WallTime()));
  const auto won = PublishName(*spool_, spool_->servers(), NameOfNumber(record.number()),
                               EncodeRecord(RecordKind::kExclusive, record), /*power_loss=*/false);
  if (!won.ok() || !*won) return won;
  number_ = record.number();
  const os::Nanos give_way =
      spool_->env().clock->Now() + (spool_->network() ? kGiveWayNetwork : kGiveWayLocal);
  for (;;) {
    const auto now_top = ReadTop();
    const auto others = Others(top.holder);
    absl::Status failed = now_top.ok() ? others.status() : now_top.status();
    if (failed.ok() && now_top->number != number_) {
      number_ = 0;  // it was not the next one
      return false;
    }
    if (failed.ok() && others->empty()) break;
    if (!failed.ok() || spool_->env().clock->Now() >= give_way) {
      // Somebody came at the same moment, or came back.
      Release();
      if (!failed.ok()) return failed;
      return false;
    }
    Pause();
  }
  AskExpired();
  RemoveOldNames();
  return true;
}

void ExclusiveHold::AskExpired() {
  const auto servers = list_.Refresh();
  if (!servers.ok()) return;
  for (const ServerEntry& server : *servers) {
    if (server.id == options_.server_id || server.liveness == os::Liveness::kDead) continue;
    AskToStop(*spool_, server, absl::ZeroDuration()).IgnoreError();
  }
}

void ExclusiveHold::RemoveOldNames() {
  const auto names = os::ListDirectory(spool_->env().calls, spool_->servers());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const uint32_t number = NumberBehind(kExclusive, name);
    if (number > 0 && number + kNamesKept <= number_) {
      os::RemoveFile(spool_->env().calls, Join(spool_->servers(), name)).IgnoreError();
    }
  }
}

absl::Status ExclusiveHold::Confirm() {
  if (options_.mode != ExclusiveMode::kShared) {
    const absl::Status check = Check();
    return absl::IsFailedPrecondition(check) ? absl::AlreadyExistsError(check.message()) : check;
  }
  const auto top = ReadTop();
  if (!top.ok()) return top.status();
  if (top->number == seen_ || !top->holder.has_value()) return absl::OkStatus();
  ServerEntry holder;
  holder.id = top->holder->server_id();
  auto record = std::make_shared<ServerRecord>();
  *record->mutable_process() = top->holder->process();
  holder.record = std::move(record);
  const bool dead =
      spool_->env().host->Look(ToProcessId(top->holder->process())) == os::Liveness::kDead;
  return dead ? absl::OkStatus() : Refused(holder);
}

// ---------------------------------------------------------------- serving

absl::Status ExclusiveHold::Check() {
  if (options_.mode == ExclusiveMode::kShared) return absl::OkStatus();
  const auto top = ReadTop();
  if (!top.ok()) return top.status();
  if (number_ != 0 && top->number == number_) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "spool ", spool_->root(), ": ",
      !top->holder.has_value() ? "another server has taken it over meanwhile"
                               : absl::StrCat("the server ", IdName(top->holder->server_id()),
                                              " on ", top->holder->process().host(), ", pid ",
                                              top->holder->process().pid(), ", has taken it over"),
      ", since this one's lease had expired"));
}

void ExclusiveHold::Release() {
  if (number_ == 0) return;
  // If that fails the lease tells that nobody holds it.
  const auto top = ReadTop();
  if (!top.ok() || top->number <= number_) {
    ExclusiveRecord record;
    record.set_number(std::max(number_ + 1, top.ok() ? top->next : 0));
    *record.mutable_process() = ToProcessIdentity(spool_->env().host->Self());
    record.set_claimed_at(absl::ToUnixSeconds(spool_->env().clock->WallTime()));
    PublishName(*spool_, spool_->servers(), NameOfNumber(record.number()),
                EncodeRecord(RecordKind::kExclusive, record), /*power_loss=*/false)
        .status()
        .IgnoreError();
  }
  number_ = 0;
}

}  // namespace spoolrpc::spool
