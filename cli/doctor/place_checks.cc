// What the kernel says of a directory and of its file system.

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/doctor/node_checks.h"
#include "cli/text.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr uint32_t kOthersWrite = 0002;
constexpr uint32_t kSticky = 01000;
// What a server takes, and a session: logs of 192 KiB on both sides, records, names
// (docs/format.md, section 1).
constexpr uint64_t kServerBytes = 512 * 1024;
constexpr uint64_t kSessionBytes = 512 * 1024;
constexpr uint64_t kServerInodes = 12;
constexpr uint64_t kSessionInodes = 10;
// Fewer sessions than that are a warning.
constexpr uint64_t kFewSessions = 16;

uint64_t Sessions(uint64_t free, uint64_t server, uint64_t session) {
  return free < server ? 0 : (free - server) / session;
}

void TellRoom(uint64_t sessions, Finding* finding) {
  finding->figures["sessions"] = static_cast<double>(sessions);
  if (sessions == 0) {
    finding->result = Result::kFail;
    finding->meaning = "not enough for one server and one session";
  } else if (sessions < kFewSessions) {
    finding->result = Result::kWarn;
    finding->meaning = absl::StrCat("enough for ", Plural(sessions, "session"), " only");
  } else {
    finding->meaning = absl::StrCat("enough for ", FormatCount(sessions), " sessions");
  }
}

absl::StatusOr<struct statfs> AskKernel(const Node& node) {
  struct statfs info = {};
  int result;
  do {
    result = node.workspace->calls()->Statfs(node.workspace->path().c_str(), &info);
  } while (result == -EINTR);
  if (result < 0) return os::ErrnoToStatus(-result, "statfs", node.workspace->path());
  return info;
}

absl::Status FileSystem(const Node& node, Finding* finding) {
  const Workspace& workspace = *node.workspace;
  const Mount& mount = *node.mount;
  finding->result = Result::kInfo;
  finding->figure = absl::StrCat(mount.type.empty() ? workspace.type().name : mount.type, ", ",
                                 workspace.network() ? "network" : "local");
  finding->figures["network"] = workspace.network() ? 1 : 0;
  finding->meaning = workspace.network() ? "writes are flushed, and calls polled for"
                                         : "only processes of this host reach it";
  if (absl::StartsWith(mount.type, "nfs") && HasOption(mount, "soft")) {
    finding->Worsen(Result::kWarn);
    finding->settings.push_back(
        {"mount option", "hard", "with soft, a stall of the file server makes writes fail", 0});
    finding->meaning = "mounted soft: writes fail when the file server stalls";
  }
  return absl::OkStatus();
}

absl::Status WriteSize(const Node& node, Finding* finding) {
  const uint64_t size = node.workspace->type().max_write;
  finding->figure = FormatSize(size);
  finding->figures["bytes"] = static_cast<double>(size);
  finding->meaning = "the longest frame goes to the file server as one write (wsize)";
  // A frame has at most a quarter of its log, and 64 KiB.
  if (size < 65536) {
    const uint64_t capacity = std::max<uint64_t>(65536, 4 * size / kBlock * kBlock);
    finding->result = Result::kWarn;
    finding->meaning = "the longest frames go to the file server in parts (wsize)";
    for (const char* name : {"ServerBuilder::set_log_capacity()", "ChannelOptions::log_capacity"}) {
      finding->settings.push_back(
          {name, absl::StrCat(capacity), "a quarter of the log is the longest frame", 1});
    }
  }
  return absl::OkStatus();
}

absl::Status Space(const Node& node, Finding* finding) {
  const auto info = AskKernel(node);
  if (!info.ok()) return info.status();
  const uint64_t free = static_cast<uint64_t>(info->f_bavail) * info->f_bsize;
  if (info->f_blocks == 0) {
    finding->result = Result::kInfo;
    finding->figure = "not known";
    finding->meaning = "the file system does not tell";
    return absl::OkStatus();
  }
  finding->figure = absl::StrFormat("%.1f GiB", static_cast<double>(free) / (1 << 30));
  if (free < (1 << 30)) finding->figure = absl::StrCat(FormatCount(free >> 10), " KiB");
  finding->figures["free_bytes"] = static_cast<double>(free);
  TellRoom(Sessions(free, kServerBytes, kSessionBytes), finding);
  return absl::OkStatus();
}

absl::Status Inodes(const Node& node, Finding* finding) {
  const auto info = AskKernel(node);
  if (!info.ok()) return info.status();
  if (info->f_files == 0) {
    finding->result = Result::kInfo;
    finding->figure = "no limit told";
    finding->meaning = "the file system makes inodes as it needs them, or does not tell";
    return absl::OkStatus();
  }
  finding->figure = FormatCount(info->f_ffree);
  finding->figures["free"] = static_cast<double>(info->f_ffree);
  TellRoom(Sessions(info->f_ffree, kServerInodes, kSessionInodes), finding);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckDirectory(Examination* examination, const std::string& directory) {
  const auto info = os::StatPath(examination->env().calls, directory);
  if (!info.ok()) return info.status();
  if (info->type != os::FileInfo::Type::kDirectory) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " is no directory; give the one that is to hold the spool"));
  }
  Finding finding;
  finding.name = "directory";
  finding.figure = absl::StrFormat("uid %d, mode %04o", info->uid, info->mode);
  finding.figures["uid"] = info->uid;
  finding.meaning = "a spool can be made here";
  if ((info->mode & kOthersWrite) != 0 && (info->mode & kSticky) == 0) {
    finding.result = Result::kWarn;
    finding.meaning =
        absl::StrCat("everybody may write to it, so that no spool is accepted here: chmod o-w ",
                     directory, ", or chmod +t it");
  }
  examination->Add(std::move(finding));
  return absl::OkStatus();
}

void CheckPlace(const Node& node) {
  Examination* const examination = node.examination;
  examination->Run("file_system", [&](Finding* finding) { return FileSystem(node, finding); });
  // (Elsewhere statfs does not tell it.)
  if (node.workspace->type().name == "nfs") {
    examination->Run("write_size", [&](Finding* finding) { return WriteSize(node, finding); });
  }
  examination->Run("space", [&](Finding* finding) { return Space(node, finding); });
  examination->Run("inodes", [&](Finding* finding) { return Inodes(node, finding); });
}

}  // namespace spoolrpc::cli::doctor
