#include "spoolrpc/server/server_log.h"

#include <stdio.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc::server {
namespace {

constexpr size_t kLogsKept = 10;
constexpr uint64_t kMaxFileSize = 4 << 20;  // bytes; then the file starts over
constexpr size_t kMaxWaiting = 1000;        // lines that wait for Drain()

void RemoveOldLogs(const spool::Spool& spool) {
  os::SystemCalls* const calls = spool.env().calls;
  const auto names = os::ListDirectory(calls, spool.logs());
  if (!names.ok()) return;
  std::vector<std::pair<int64_t, std::string>> logs;
  for (const std::string& name : *names) {
    if (!absl::EndsWith(name, ".log")) continue;
    const std::string path = spool::Join(spool.logs(), name);
    if (const auto info = os::StatPath(calls, path); info.ok()) {
      logs.emplace_back(info->modified_seconds, path);
    }
  }
  std::sort(logs.rbegin(), logs.rend());
  for (size_t i = kLogsKept - 1; i < logs.size(); ++i) {
    os::RemoveFile(calls, logs[i].second).IgnoreError();
  }
}

}  // namespace

void ServerLog::OpenFile(const spool::Spool& spool, const std::string& server_id) {
  if (sink_ != nullptr || level_ == LogLevel::kNone) return;
  RemoveOldLogs(spool);
  os::OpenOptions options;
  options.access = os::OpenOptions::Access::kWrite;
  options.create = true;
  auto file = os::OpenFile(spool.env().calls,
                           spool::Join(spool.logs(), spool::IdName(server_id) + ".log"), options);
  if (file.ok()) file_ = *std::move(file);
}

void ServerLog::Log(LogLevel level, absl::string_view message) {
  if (level < level_ || level_ == LogLevel::kNone) return;
  const absl::Time now = absl::Now();
  if (sink_ != nullptr) {
    sink_->Log(level, now, message);
    return;
  }
  std::string line = rpc::LogLine(level, now, message);
  fwrite(line.data(), 1, line.size(), stderr);
  absl::MutexLock lock(&mu_);
  if (lines_.size() >= kMaxWaiting) {
    ++dropped_;
    return;
  }
  lines_.push_back(std::move(line));
}

void ServerLog::Drain() {
  std::string text;
  {
    absl::MutexLock lock(&mu_);
    for (const std::string& line : lines_) text += line;
    lines_.clear();
    if (dropped_ > 0) absl::StrAppend(&text, "(", dropped_, " more lines were dropped)\n");
    dropped_ = 0;
  }
  if (text.empty() || file_ == nullptr) return;
  if (size_ + text.size() > kMaxFileSize) size_ = 0;
  if (file_->WriteAt(size_, text).ok()) size_ += text.size();
}

}  // namespace spoolrpc::server
