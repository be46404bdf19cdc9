#include "spoolrpc/spool/server_list.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::spool {

os::ProcessId ToProcessId(const ProcessIdentity& identity) {
  os::ProcessId process;
  process.host = identity.host();
  process.boot_id = identity.boot_id();
  process.pid = identity.pid();
  process.start_time = identity.start_time();
  process.pid_namespace = identity.pid_namespace();
  process.uid = identity.uid();
  return process;
}

ProcessIdentity ToProcessIdentity(const os::ProcessId& process) {
  ProcessIdentity identity;
  identity.set_host(process.host);
  identity.set_boot_id(process.boot_id);
  identity.set_pid(process.pid);
  identity.set_start_time(process.start_time);
  identity.set_pid_namespace(process.pid_namespace);
  identity.set_uid(process.uid);
  return identity;
}

absl::StatusOr<std::vector<ServerEntry>> ServerList::Refresh(std::vector<std::string>* problems) {
  os::SystemCalls* const calls = spool_->env().calls;
  const auto names = os::ListDirectory(calls, spool_->servers());
  if (!names.ok()) return names.status();
  std::map<std::string, Known> known;
  std::vector<ServerEntry> entries;
  const auto complain = [&](const std::string& text) {
    if (problems != nullptr) problems->push_back(text);
  };
  for (const std::string& name : *names) {
    ServerEntry entry;
    if (!ParseIdName(name, &entry.id)) continue;
    entry.directory = Join(spool_->servers(), name);
    if (const auto it = known_.find(entry.id); it != known_.end()) {
      entry.record = it->second.record;
      entry.uid = it->second.uid;
    } else {
      const auto info = os::StatPath(calls, entry.directory);
      if (!info.ok()) continue;  // gone meanwhile
      if (info->type != os::FileInfo::Type::kDirectory) {
        complain(absl::StrCat(entry.directory, ": not a directory"));
        continue;
      }
      if (!spool_->MayServe(info->uid)) {
        complain(absl::StrCat(entry.directory, ": belongs to uid ", info->uid,
                              ", whom the spool's owner, uid ", spool_->owner(),
                              ", has not allowed to serve it (ServerBuilder::set_server_uids)"));
        continue;
      }
      entry.uid = info->uid;
      auto record = std::make_shared<ServerRecord>();
      const absl::Status read = ReadRecordOf(calls, Join(entry.directory, kRecord),
                                             RecordKind::kServer, info->uid, record.get());
      if (!read.ok() || record->server_id() != entry.id) {
        if (!absl::IsNotFound(read)) {
          complain(read.ok() ? absl::StrCat(entry.directory, ": the record of another server")
                             : std::string(read.message()));
        }
        continue;
      }
      entry.record = std::move(record);
    }
    known[entry.id] = {entry.record, entry.uid};
    entry.liveness = spool_->env().host->Look(ToProcessId(entry.record->process()));
    entries.push_back(std::move(entry));
  }
  known_ = std::move(known);
  return entries;
}

}  // namespace spoolrpc::spool
