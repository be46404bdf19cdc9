#include "spoolrpc/spool/stop_request.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/durable_files.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/wait/doorbell.h"

namespace spoolrpc::spool {
namespace {

std::string PathOf(const std::string& directory, uint32_t number) {
  return Join(Join(directory, kInbox), absl::StrCat(kStop, number));
}

void Ring(const Spool& spool, const ServerEntry& server) {
  const ProcessIdentity& process = server.record->process();
  if (spool.network() || !os::SameHost(spool.env().host->Self(), ToProcessId(process))) return;
  const auto bell =
      wait::Doorbell::Attach(spool.env().calls, Join(server.directory, kDoorbell), server.uid);
  if (bell.ok()) (*bell)->RingInbox();
}

}  // namespace

absl::Status AskToStop(const Spool& spool, const ServerEntry& server, absl::Duration deadline) {
  if (!spool.MayServe(geteuid())) {
    return absl::PermissionDeniedError(absl::StrCat(
        "spool ", spool.root(), ": its servers stop for its owner, uid ", spool.owner(),
        ", for root, and for whom the owner has listed (ServerBuilder::set_server_uids); this is "
        "uid ",
        geteuid()));
  }
  StopRecord record;
  record.set_server_id(server.id);
  if (deadline != absl::InfiniteDuration()) {
    record.set_deadline_ns(std::max<int64_t>(0, absl::ToInt64Nanoseconds(deadline)));
  }
  *record.mutable_process() = ToProcessIdentity(spool.env().host->Self());
  record.set_asked_at(absl::ToUnixSeconds(spool.env().clock->WallTime()));
  const std::string content = EncodeRecord(RecordKind::kStop, record);
  const std::string inbox = Join(server.directory, kInbox);
  const auto names = os::ListDirectory(spool.env().calls, inbox);
  if (!names.ok()) return names.status();
  std::set<uint32_t> numbers;
  for (const std::string& name : *names) numbers.insert(NumberBehind(kStop, name));
  for (uint32_t number = 1;; ++number) {
    while (numbers.count(number) > 0) ++number;
    if (number > kMaxNumber) {
      return absl::ResourceExhaustedError(
          absl::StrCat("link ", PathOf(server.directory, number), ": too many requests to stop"));
    }
    const auto published = PublishName(spool, inbox, absl::StrCat(kStop, number), content,
                                       /*power_loss=*/false);
    if (!published.ok()) return published.status();
    // Somebody else asks, too: the server reads both.
    if (*published) break;
  }
  Ring(spool, server);
  if (spool.network()) {
    poll(nullptr, 0, kTouchAfter / 1000000);
    spool.Touch(inbox);
  }
  return absl::OkStatus();
}

absl::StatusOr<StopRecord> ReadStopRequest(const Spool& spool, const std::string& directory,
                                           const std::string& id, uint32_t number) {
  const std::string path = PathOf(directory, number);
  auto file = DurableFile::Open(spool, path, DurableWriters{});
  if (!file.ok()) return file.status();
  StopRecord record;
  if (absl::Status s = file->ReadRecord(RecordKind::kStop, &record); !s.ok()) return s;
  if (record.server_id() != id) {
    return absl::DataLossError(absl::StrCat("read ", path, ": asks another server"));
  }
  return record;
}

}  // namespace spoolrpc::spool
