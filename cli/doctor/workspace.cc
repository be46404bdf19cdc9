#include "cli/doctor/workspace.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/random.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr char kAnyPrefix[] = ".spoolrpc-doctor-";
constexpr int64_t kOldSeconds = 3600;
constexpr int kRemoveTries = 30;
constexpr absl::Duration kBetweenTries = absl::Milliseconds(100);

}  // namespace

std::string Workspace::Prefix(absl::string_view label) {
  return absl::StrCat(kAnyPrefix, label, "-");
}

absl::StatusOr<std::unique_ptr<Workspace>> Workspace::Make(const os::Environment& env,
                                                           const std::string& directory) {
  auto type = os::DescribeFileSystem(env.calls, directory);
  if (!type.ok()) return type.status();
  const std::string random = absl::BytesToHexString(os::RandomBytes(8));
  std::unique_ptr<Workspace> workspace(new Workspace(env, directory, random, *std::move(type)));
  if (absl::Status s = os::MakeDirectory(env.calls, workspace->path(), 0700); !s.ok()) return s;
  workspace->RemoveOldOnes();
  return workspace;
}

Workspace::Workspace(const os::Environment& env, std::string directory, std::string random,
                     os::FileSystemType type)
    : env_(env),
      directory_(std::move(directory)),
      random_(std::move(random)),
      path_(absl::StrCat(directory_, "/", kAnyPrefix, random_)),
      type_(std::move(type)),
      network_(!type_.local) {
  access_.direct_reads = network_;
  access_.flushed_writes = network_;
  access_.max_write = type_.max_write;
}

std::string Workspace::PublishedName(absl::string_view label) const {
  return absl::StrCat(Prefix(label), random_);
}

absl::Status Workspace::Publish(absl::string_view label) {
  const std::string path = absl::StrCat(directory_, "/", PublishedName(label));
  if (absl::Status s = os::Rename(env_.calls, path_, path); !s.ok()) return s;
  path_ = path;
  return absl::OkStatus();
}

Workspace::~Workspace() { Remove().IgnoreError(); }

absl::Status Workspace::Remove() {
  if (removed_) return absl::OkStatus();
  absl::Status status;
  for (int i = 0; i < kRemoveTries; ++i) {
    status = os::RemoveTree(env_.calls, path_);
    if (status.ok()) break;
    absl::SleepFor(kBetweenTries);
  }
  removed_ = status.ok();
  return status;
}

void Workspace::RemoveOldOnes() const {
  const auto own = os::StatPath(env_.calls, path_);
  const auto names = os::ListDirectory(env_.calls, directory_);
  if (!own.ok() || !names.ok()) return;
  for (const std::string& name : *names) {
    if (!absl::StartsWith(name, kAnyPrefix)) continue;
    const std::string path = absl::StrCat(directory_, "/", name);
    const auto info = os::StatPath(env_.calls, path);
    if (info.ok() && info->type == os::FileInfo::Type::kDirectory && info->uid == own->uid &&
        info->modified_seconds < own->modified_seconds - kOldSeconds) {
      os::RemoveTree(env_.calls, path).IgnoreError();
    }
  }
}

std::string Workspace::operator/(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

std::string Workspace::name() const { return path_.substr(path_.rfind('/') + 1); }

void Workspace::UseNetworkRules() {
  network_ = true;
  access_.direct_reads = true;
  access_.flushed_writes = true;
}

absl::Status Workspace::MakeZeros(const std::string& path, uint64_t size) const {
  os::OpenOptions options;
  options.access = os::OpenOptions::Access::kWrite;
  options.create = true;
  auto file = os::OpenFile(env_.calls, path, options);
  if (!file.ok()) return file.status();
  const std::string zeros(std::min<uint64_t>(size, access_.max_write), '\0');
  for (uint64_t offset = 0; offset < size; offset += zeros.size()) {
    const size_t count = std::min<uint64_t>(zeros.size(), size - offset);
    const absl::Status written =
        (*file)->WriteAt(offset, absl::string_view(zeros).substr(0, count));
    if (!written.ok()) return written;
  }
  if (absl::Status s = (*file)->Sync(); !s.ok()) return s;
  return (*file)->Close();
}

absl::Status Workspace::MakeSubdirectory(absl::string_view name) const {
  return os::MakeDirectory(env_.calls, *this / name, 0700);
}

void Workspace::Touch(const std::string& directory) const {
  const std::string path = absl::StrCat(directory, "/.tmp-touch-", os::RandomUint64());
  if (os::WriteNewFile(env_.calls, path, "", 0600, false).ok()) {
    os::RemoveFile(env_.calls, path).IgnoreError();
  }
}

}  // namespace spoolrpc::cli::doctor
