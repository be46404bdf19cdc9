#include "spoolrpc/spool/owner_watch.h"

#include <algorithm>

#include "spoolrpc/spool/server_list.h"

namespace spoolrpc::spool {
namespace {

constexpr os::Nanos kShortestTerm = os::Nanos{100} * 1000000;
constexpr os::Nanos kLongestTerm = os::Nanos{86400} * 1000000000;
constexpr os::Nanos kForgetAfter = os::Nanos{600} * 1000000000;

}  // namespace

OwnerWatch::OwnerWatch(std::shared_ptr<const Spool> spool)
    : spool_(std::move(spool)), buffer_(log::kHeadSize) {}

void OwnerWatch::Read(const std::string& id, os::Nanos planned, Watched* watched) {
  const os::Nanos began = spool_->env().clock->Now();
  bool direct = false;
  const auto file = log::OpenLogForReading(spool_->env().calls, Join(spool_->server(id), kLease),
                                           spool_->access(), &direct);
  absl::Status status = file.status();
  if (file.ok()) {
    const auto head = log::ReadHead(**file, direct, &buffer_);
    status = head.status();
    if (head.ok()) {
      watched->moved =
          watched->moved || (watched->readings > 0 && head->counter != watched->counter);
      watched->counter = head->counter;
    }
  }
  if (status.ok() || absl::IsNotFound(status)) ++watched->readings;
  const os::Nanos ended = spool_->env().clock->Now();
  if (status.ok() || absl::IsNotFound(status)) {
    watched->observer.OnReading(planned, began, ended, watched->counter);
  } else {
    watched->observer.OnFailedReading(ended);
  }
}

OwnerWatch::Life OwnerWatch::Look(const std::string& id, const ProcessIdentity& process,
                                  uint64_t term) {
  if (spool_->env().host->Look(ToProcessId(process)) == os::Liveness::kDead) return Life::kGone;
  if (id.size() != kIdSize) return Life::kGone;
  const os::Nanos now = spool_->env().clock->Now();
  const auto [it, fresh] = watched_.try_emplace(
      id, std::clamp<os::Nanos>(static_cast<os::Nanos>(std::min<uint64_t>(term, kLongestTerm)),
                                kShortestTerm, kLongestTerm));
  Watched& watched = it->second;
  watched.asked = now;
  if (fresh) watched.observer.Start(now);
  const os::Nanos planned = watched.observer.next_reading();
  if (now < planned && !watched.observer.expired()) return watched.life();
  Read(id, planned, &watched);
  if (!watched.observer.expired()) return watched.life();
  // What is concluded is concluded from a reading that began after the owner was found.
  Read(id, spool_->env().clock->Now(), &watched);
  return watched.observer.expired() ? Life::kGone : watched.life();
}

os::Nanos OwnerWatch::next_look() const {
  os::Nanos next = os::kNever;
  for (const auto& [id, watched] : watched_) next = std::min(next, watched.observer.next_reading());
  return next;
}

void OwnerWatch::Prune() {
  const os::Nanos now = spool_->env().clock->Now();
  for (auto it = watched_.begin(); it != watched_.end();) {
    it = now - it->second.asked > kForgetAfter ? watched_.erase(it) : std::next(it);
  }
}

}  // namespace spoolrpc::spool
