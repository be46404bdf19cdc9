#include "spoolrpc/spool/durable_files.h"

#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/users.h"

namespace spoolrpc::spool {

namespace {

bool MayHaveWritten(const Spool& spool, const DurableWriters& writers, uint32_t uid) {
  if (os::IsNobody(uid)) return false;
  if (!spool.group().has_value()) return uid == spool.owner() || uid == 0 || uid == geteuid();
  return uid == writers.caller || (writers.servers && spool.MayServe(uid));
}

}  // namespace

absl::StatusOr<DurableFile> DurableFile::Open(const Spool& spool, const std::string& path,
                                              const DurableWriters& writers) {
  os::SystemCalls* const calls = spool.env().calls;
  auto file = os::OpenFile(calls, path, os::OpenOptions{});
  if (!file.ok()) {
    // A symbolic link or a socket cannot be opened at all.
    const auto there = os::StatPath(calls, path);
    if (there.ok() && there->type == os::FileInfo::Type::kOther) {
      return absl::DataLossError(absl::StrCat("read ", path, ": not a regular file"));
    }
    return file.status();
  }
  const auto info = (*file)->Stat();
  if (!info.ok()) return info.status();
  if (info->type != os::FileInfo::Type::kFile) {
    return absl::DataLossError(absl::StrCat("read ", path, ": not a regular file"));
  }
  if (!MayHaveWritten(spool, writers, info->uid)) {
    return absl::DataLossError(
        absl::StrCat("read ", path, ": belongs to uid ", info->uid, ", a stranger"));
  }
  if (!writers.servers && info->links != 1) {
    return absl::DataLossError(
        absl::StrCat("read ", path, ": it has ", info->links, " links, not 1"));
  }
  return DurableFile(*std::move(file), *info);
}

absl::StatusOr<std::string> DurableFile::Read(uint64_t offset, size_t count) const {
  std::string bytes(count, '\0');
  const auto got = file_->ReadAt(offset, bytes.data(), count);
  if (!got.ok()) return got.status();
  bytes.resize(*got);
  return bytes;
}

absl::Status DurableFile::ReadFront(RecordKind kind, google::protobuf::Message* message) {
  auto bytes = Read(0, kRecordHeaderSize);
  if (!bytes.ok()) return bytes.status();
  if (bytes->size() == kRecordHeaderSize) {
    uint32_t length = 0;
    memcpy(&length, bytes->data() + 12, sizeof(length));
    // What is too long by far fails below, as a checksum over too little.
    bytes = Read(0, kRecordHeaderSize + std::min<size_t>(length, kMaxRecordSize));
    if (!bytes.ok()) return bytes.status();
  }
  absl::string_view rest;
  if (absl::Status s = DecodeRecordFront(*bytes, kind, message, &rest); !s.ok()) {
    return os::Annotate(s, file_->path());
  }
  front_ = bytes->size() - rest.size();
  return absl::OkStatus();
}

absl::Status DurableFile::ReadRecord(RecordKind kind, google::protobuf::Message* message) {
  if (absl::Status s = ReadFront(kind, message); !s.ok()) return s;
  if (size_ == front_) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(file_->path(), ": record: ", size_, " bytes of file, not ", front_));
}

absl::Status DurableFile::ReadBody(RecordKind kind, const Body& body, size_t limit,
                                   std::string* bytes) {
  if (size_ != front_ + body.size()) {
    return absl::DataLossError(absl::StrCat(file_->path(), ": record: ", size_,
                                            " bytes of file, not ", front_, " and ", body.size(),
                                            " of body"));
  }
  if (body.size() > limit) {
    return absl::ResourceExhaustedError(absl::StrCat(file_->path(), ": a message of ", body.size(),
                                                     " bytes, more than the ", limit,
                                                     " that are accepted here"));
  }
  auto read = Read(front_, body.size());
  if (!read.ok()) return read.status();
  *bytes = *std::move(read);
  return os::Annotate(CheckBody(kind, body, *bytes), file_->path());
}

absl::StatusOr<bool> PublishName(const Spool& spool, const std::string& directory,
                                 absl::string_view name, absl::string_view content,
                                 bool power_loss) {
  os::SystemCalls* const calls = spool.env().calls;
  const std::string path = Join(directory, name);
  const std::string temporary = spool.TemporaryPath(directory);
  const auto cleanup = absl::MakeCleanup([&] { os::RemoveFile(calls, temporary).IgnoreError(); });
  const bool flush = power_loss || spool.access().flushed_writes;
  if (absl::Status s = os::WriteNewFile(calls, temporary, content, spool.file_mode(), flush);
      !s.ok())
    return s;
  const absl::Status linked = os::Link(calls, temporary, path);
  if (!linked.ok()) {
    if (spool.network()) {
      // A name that was looked for too early stays invisible on NFS for half a minute otherwise.
      os::ListDirectory(calls, directory).status().IgnoreError();
    }
    const auto mine = os::StatPath(calls, temporary);
    const auto there = os::StatPath(calls, path);
    if (!there.ok()) {
      return absl::IsNotFound(there.status()) && !absl::IsAlreadyExists(linked) ? linked
                                                                                : there.status();
    }
    if (!mine.ok() || mine->device != there->device || mine->inode != there->inode) return false;
  }
  if (power_loss) {
    if (absl::Status s = os::SyncDirectory(calls, directory); !s.ok()) return s;
  }
  return true;
}

}  // namespace spoolrpc::spool
