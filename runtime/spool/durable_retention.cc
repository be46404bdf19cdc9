#include "spoolrpc/spool/durable_retention.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/durable_files.h"
#include "spoolrpc/spool/server_list.h"

namespace spoolrpc::spool {
namespace {

constexpr uint64_t kDefaultMaxAge = uint64_t{30} * 86400 * 1000000000;
constexpr uint64_t kDefaultMaxFinished = 100000;

}  // namespace

RetentionRecord DefaultRetention() {
  RetentionRecord record;
  record.set_max_age_ns(kDefaultMaxAge);
  record.set_max_finished(kDefaultMaxFinished);
  return record;
}

absl::StatusOr<RetentionRecord> ReadRetention(const Spool& spool) {
  auto file = DurableFile::Open(spool, Join(spool.durable(), kRetention), {});
  if (absl::IsNotFound(file.status())) return DefaultRetention();
  if (!file.ok()) return file.status();
  RetentionRecord record;
  if (absl::Status s = file->ReadRecord(RecordKind::kRetention, &record); !s.ok()) return s;
  return record;
}

absl::Status WriteRetention(const DurableStore& store, const RetentionRecord& retention) {
  const Spool& spool = store.spool();
  os::SystemCalls* const calls = spool.env().calls;
  absl::Status made = spool.MakeSharedDirectory(spool.durable());
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  const std::string temporary = spool.TemporaryPath(spool.durable());
  absl::Status status = os::WriteNewFile(
      calls, temporary, EncodeRecord(RecordKind::kRetention, retention), spool.file_mode(),
      /*flush=*/true);
  if (status.ok()) status = os::Rename(calls, temporary, Join(spool.durable(), kRetention));
  if (!status.ok()) os::RemoveFile(calls, temporary).IgnoreError();
  return status;
}

bool DurableRetention::TimeOf(const std::string& ticket, bool finished, Times* times) {
  const auto it = times_.find(ticket);
  if (it != times_.end() && it->second.finished == finished) {
    *times = it->second;
    return true;
  }
  if (++looks_ > max_looks_) return false;
  const auto modified = store_->ModifiedTime(ticket, finished ? kReply : kCall);
  if (!modified.ok()) return false;
  *times = {finished, *modified, store_->MayDelete(ticket)};
  times_[ticket] = *times;
  return true;
}

bool DurableRetention::MayGo(const std::string& ticket, int64_t now, int64_t max_age) {
  if (++looks_ > max_looks_) return false;
  const auto state = store_->Look(ticket);
  if (!state.ok() || !state->call) return false;
  if (state->reply) {
    const auto replied = store_->ModifiedTime(ticket, kReply);
    return replied.ok() && now - *replied > max_age;
  }
  if (state->claims == 0) return true;
  // Its owner may still work on it: only one who is certainly gone is not waited for.
  const auto claim = store_->ReadClaim(ticket, state->claims);
  if (!claim.ok()) return absl::IsDataLoss(claim.status());
  if (claim->server_id().size() != kIdSize) return true;
  const Spool& spool = store_->spool();
  return spool.env().host->Look(ToProcessId(claim->process())) == os::Liveness::kDead ||
         absl::IsNotFound(
             os::StatPath(spool.env().calls, spool.server(claim->server_id())).status());
}

void DurableRetention::Delete(const std::string& ticket, std::vector<std::string>* deleted) {
  if (!dry_run_ && !store_->Delete(ticket).ok()) return;
  times_.erase(ticket);
  deleted->push_back(ticket);
}

absl::StatusOr<std::vector<std::string>> DurableRetention::Sweep(
    const std::vector<std::string>& tickets,
    absl::FunctionRef<Kind(const std::string& ticket)> kind_of) {
  std::vector<std::string> deleted;
  if (tickets.empty()) return deleted;
  const auto retention = ReadRetention(store_->spool());
  if (!retention.ok()) return retention.status();
  const auto now = store_->Now();
  if (!now.ok()) return now.status();
  looks_ = 0;
  const std::set<std::string> there(tickets.begin(), tickets.end());
  for (auto it = times_.begin(); it != times_.end();) {
    it = there.count(it->first) == 0 ? times_.erase(it) : std::next(it);
  }
  const int64_t max_age =
      retention->max_age_ns() == 0
          ? INT64_MAX
          : static_cast<int64_t>(std::min<uint64_t>(retention->max_age_ns(), INT64_MAX));
  std::vector<std::pair<int64_t, std::string>> finished;
  for (const std::string& ticket : tickets) {
    const Kind kind = kind_of(ticket);
    Times times;
    if (kind == Kind::kBusy || !TimeOf(ticket, kind == Kind::kFinished, &times)) continue;
    if (!times.deletable) continue;
    const bool old = *now - times.modified > max_age;
    if (kind == Kind::kFinished ? old : old && MayGo(ticket, *now, max_age)) {
      Delete(ticket, &deleted);
    } else if (kind == Kind::kFinished) {
      finished.emplace_back(times.modified, ticket);
    }
  }
  if (retention->max_finished() > 0 && finished.size() > retention->max_finished()) {
    std::sort(finished.begin(), finished.end());
    finished.resize(finished.size() - retention->max_finished());
    for (const auto& [modified, ticket] : finished) Delete(ticket, &deleted);
  }
  return deleted;
}

}  // namespace spoolrpc::spool
