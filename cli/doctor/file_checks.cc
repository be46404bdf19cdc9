// Files as logs need them: of full size from the beginning, flushed at each write, and read past
// this node's cache on a network file system.

#include <errno.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/doctor/figures.h"
#include "cli/doctor/node_checks.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr char kLog[] = "log";
constexpr uint64_t kLogSize = 192 * 1024 + kBlock;
constexpr size_t kWrite = 480;
constexpr size_t kSector = 512;

std::string Content(int number) {
  return std::string(kWrite, static_cast<char>('a' + number % 26));
}

absl::Status Preallocation(const Node& node, Finding* finding) {
  const Workspace& workspace = *node.workspace;
  const os::Nanos began = node.examination->Now();
  if (absl::Status s = workspace.MakeZeros(workspace / kLog, kLogSize); !s.ok()) return s;
  const os::Nanos took = node.examination->Now() - began;
  const auto content = os::ReadWholeFile(workspace.calls(), workspace / kLog, kLogSize);
  if (!content.ok()) return content.status();
  finding->figure = FormatNanos(took);
  finding->figures["took_ms"] = ToMilliseconds(took);
  finding->figures["bytes"] = static_cast<double>(kLogSize);
  finding->meaning = "a log of 192 KiB, written and flushed";
  if (content->size() != kLogSize || content->find_first_not_of('\0') != std::string::npos) {
    return absl::DataLossError(absl::StrCat("a file of ", kLogSize, " zeros was written, and its ",
                                            content->size(), " bytes are not that"));
  }
  return absl::OkStatus();
}

absl::Status FlushedWrite(const Node& node, Finding* finding) {
  const Workspace& workspace = *node.workspace;
  const auto file = log::OpenLogForWriting(workspace.calls(), workspace / kLog, workspace.access());
  if (!file.ok()) return file.status();
  Times times;
  for (int i = 0; i < node.examination->limits().writes; ++i) {
    const os::Nanos began = node.examination->Now();
    const absl::Status written = (*file)->WriteAt(kBlock + i * kWrite, Content(i));
    if (!written.ok()) return written;
    times.Add(node.examination->Now() - began);
    if (absl::Status s = node.examination->Pause(absl::ZeroDuration()); !s.ok()) return s;
  }
  times.Store("", finding);
  finding->figure = times.Text();
  finding->meaning = workspace.access().flushed_writes
                         ? "a small write until it is on the file server (O_DSYNC)"
                         : "a small write";
  AdviseLeaseTerm(times.Worst(), finding);
  return absl::OkStatus();
}

// Whether the file system reads into memory that is a multiple of `alignment`, and no more.
bool ReadsAligned(const Node& node, const os::File& file, size_t alignment) {
  log::AlignedBuffer buffer(2 * kBlock);
  return file.ReadAt(kBlock + alignment, buffer.data() + alignment, alignment).ok();
}

absl::Status DirectRead(const Node& node, Finding* finding) {
  const Workspace& workspace = *node.workspace;
  log::FileAccess access = workspace.access();
  access.direct_reads = true;
  bool direct = false;
  const auto reader = log::OpenLogForReading(workspace.calls(), workspace / kLog, access, &direct);
  if (!reader.ok()) return reader.status();
  log::AlignedBuffer buffer(kBlock);
  absl::StatusOr<size_t> got = 0;
  if (direct) got = (*reader)->ReadAt(kBlock, buffer.data(), kBlock);
  finding->figures["works"] = direct && got.ok() ? 1 : 0;
  if (!direct || !got.ok()) {
    finding->figure = "refused";
    finding->result = workspace.network() ? Result::kWarn : Result::kInfo;
    finding->meaning = workspace.network()
                           ? "logs are read through this node's cache; whether that is soon enough "
                             "only --pair tells"
                           : "not used on a local file system";
    return absl::OkStatus();
  }
  if (!workspace.network()) {
    finding->result = Result::kInfo;
    finding->figure = "works";
    finding->meaning = "not used on a local file system";
    return absl::OkStatus();
  }
  const auto writer =
      log::OpenLogForWriting(workspace.calls(), workspace / kLog, workspace.access());
  if (!writer.ok()) return writer.status();
  Times times;
  int stale = 0;
  for (int i = 0; i < node.examination->limits().writes; ++i) {
    if (absl::Status s = (*writer)->WriteAt(kBlock, Content(i + 1)); !s.ok()) return s;
    const os::Nanos began = node.examination->Now();
    got = (*reader)->ReadAt(kBlock, buffer.data(), kBlock);
    if (!got.ok()) return got.status();
    times.Add(node.examination->Now() - began);
    if (absl::string_view(buffer.data(), *got).substr(0, kWrite) != Content(i + 1)) ++stale;
    if (absl::Status s = node.examination->Pause(absl::ZeroDuration()); !s.ok()) return s;
  }
  const size_t alignment = ReadsAligned(node, **reader, kSector) ? kSector : kBlock;
  times.Store("", finding);
  finding->figures["alignment_bytes"] = static_cast<double>(alignment);
  finding->figures["stale"] = stale;
  finding->figure = times.Text();
  finding->meaning = absl::StrCat("how logs are read (O_DIRECT, aligned to ", alignment, ")");
  AdviseLeaseTerm(times.Worst(), finding);
  if (stale > 0) {
    finding->result = Result::kFail;
    finding->meaning = absl::StrCat(stale, " of ", times.size(),
                                    " readings did not show what this node had written itself");
  }
  return absl::OkStatus();
}

}  // namespace

void CheckFiles(const Node& node) {
  Examination* const examination = node.examination;
  examination->Run("preallocation", [&](Finding* finding) { return Preallocation(node, finding); });
  examination->Run("flushed_write", [&](Finding* finding) { return FlushedWrite(node, finding); });
  examination->Run("direct_read", [&](Finding* finding) { return DirectRead(node, finding); });
}

}  // namespace spoolrpc::cli::doctor
