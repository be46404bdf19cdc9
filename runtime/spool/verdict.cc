#include "spoolrpc/spool/verdict.h"

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::spool {
namespace {

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }
absl::Status Foreign(const std::string& path, uint32_t uid) {
  return absl::PermissionDeniedError(absl::StrCat(
      "verdict ", path, ": uid ", uid, " has put it there, who had nothing to say in it"));
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

absl::StatusOr<VerdictRecord> ReadVerdict(const Spool& spool, const std::string& path,
                                          const std::string& session_id,
                                          const VerdictParties& parties) {
  uint32_t uid = 0;
  const auto check = [&](const os::FileInfo& info) {
    uid = info.uid;
    return uid == parties.server || uid == parties.client ? absl::OkStatus() : Foreign(path, uid);
  };
  VerdictRecord record;
  const absl::Status read =
      ReadRecordIf(spool.env().calls, path, RecordKind::kVerdict, check, &record);
  if (!read.ok()) {
    // What cannot even be opened, such as a symbolic link, may be a third user's too.
    const auto there = os::StatPath(spool.env().calls, path);
    return there.ok() && !check(*there).ok() ? Foreign(path, uid) : read;
  }
  if (record.session_id() != session_id) {
    return absl::DataLossError(absl::StrCat("read ", path, ": the verdict on another session"));
  }
  const bool withdrawn = record.verdict() == VerdictRecord::WITHDRAWN;
  if (uid != (withdrawn ? parties.client : parties.server)) return Foreign(path, uid);
  return record;
}

}  // namespace

absl::StatusOr<VerdictRecord> DecideVerdict(const Spool& spool, const std::string& path,
                                            const std::string& temporary_directory,
                                            const VerdictRecord& record,
                                            const VerdictParties& parties, bool* won) {
  os::SystemCalls* const calls = spool.env().calls;
  *won = false;
  const std::string temporary = spool.TemporaryPath(temporary_directory);
  const bool flush = spool.access().flushed_writes;
  if (absl::Status s = os::WriteNewFile(
          calls, temporary, EncodeRecord(RecordKind::kVerdict, record), spool.file_mode(), flush);
      !s.ok()) {
    os::RemoveFile(calls, temporary).IgnoreError();
    return s;
  }
  const auto cleanup = absl::MakeCleanup([&] { os::RemoveFile(calls, temporary).IgnoreError(); });
  const absl::Status linked = os::Link(calls, temporary, path);
  if (linked.ok()) {
    *won = true;
    return record;
  }
  if (spool.network()) {
    // See LookForVerdict().
    os::ListDirectory(calls, DirectoryOf(path)).status().IgnoreError();
  }
  const auto mine = os::StatPath(calls, temporary);
  const auto there = os::StatPath(calls, path);
  if (mine.ok() && there.ok() && mine->device == there->device && mine->inode == there->inode) {
    *won = true;
    return record;
  }
  if (absl::IsNotFound(there.status()) && !absl::IsAlreadyExists(linked)) return linked;
  return ReadVerdict(spool, path, record.session_id(), parties);
}

absl::StatusOr<VerdictRecord> LookForVerdict(const Spool& spool, const std::string& path,
                                             const std::string& session_id,
                                             const VerdictParties& parties) {
  if (spool.network()) {
    const auto names = os::ListDirectory(spool.env().calls, DirectoryOf(path));
    if (!names.ok()) return names.status();
    if (std::find(names->begin(), names->end(), NameOf(path)) == names->end()) {
      return absl::NotFoundError(absl::StrCat("no verdict yet at ", path));
    }
  }
  return ReadVerdict(spool, path, session_id, parties);
}

}  // namespace spoolrpc::spool
