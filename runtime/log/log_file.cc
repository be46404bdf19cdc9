#include "spoolrpc/log/log_file.h"

#include <errno.h>
#include <stdlib.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::log {

absl::Status CreateLogFile(os::SystemCalls* calls, const std::string& path, const LogHead& head,
                           const FileAccess& access, uint32_t mode) {
  std::string block = EncodeHead(head);
  if (const auto decoded = DecodeHead(block); !decoded.ok() || decoded->id != head.id) {
    return absl::InvalidArgumentError(
        absl::StrCat("create log ", path, ": ",
                     decoded.ok() ? "the id has not 16 bytes" : decoded.status().message()));
  }
  os::OpenOptions options;
  options.access = os::OpenOptions::Access::kWrite;
  options.create = true;
  options.mode = mode;
  auto file = os::OpenFile(calls, path, options);
  if (!file.ok()) return file.status();
  block.resize(kHeadSize, '\0');
  uint64_t remaining =
      head.direction == Direction::kLease ? kLeaseFileSize - kHeadSize : head.capacity;
  // Written zeros, not a hole: a sparse file showed its first byte only after 10 s on MooseFS, and
  // a full disk must be met here, not when a call is under way.
  const size_t step = std::max<size_t>(access.max_write, kHeadSize);
  uint64_t offset = 0;
  while (true) {
    const size_t zeros = std::min<uint64_t>(remaining, step - std::min(step, block.size()));
    block.append(zeros, '\0');
    remaining -= zeros;
    if (absl::Status written = (*file)->WriteAt(offset, block); !written.ok()) return written;
    offset += block.size();
    block.clear();
    if (remaining == 0) break;
  }
  if (access.flushed_writes) {
    if (absl::Status synced = (*file)->Sync(); !synced.ok()) return synced;
  }
  return (*file)->Close();
}

absl::StatusOr<std::unique_ptr<os::File>> OpenLogForWriting(os::SystemCalls* calls,
                                                            const std::string& path,
                                                            const FileAccess& access) {
  os::OpenOptions options;
  // (What is mapped for writing must be open for reading too.)
  options.access =
      access.flushed_writes ? os::OpenOptions::Access::kWrite : os::OpenOptions::Access::kReadWrite;
  options.data_sync = access.flushed_writes;
  return os::OpenFile(calls, path, options);
}

absl::StatusOr<std::unique_ptr<os::File>> OpenLogForReading(os::SystemCalls* calls,
                                                            const std::string& path,
                                                            const FileAccess& access,
                                                            bool* direct) {
  os::OpenOptions options;
  options.direct = access.direct_reads;
  options.keep_access_time = !access.direct_reads;
  *direct = access.direct_reads;
  auto file = os::OpenFile(calls, path, options);
  const int error = file.ok() ? 0 : os::ErrnoOf(file.status());
  if (options.direct && (error == EINVAL || error == EOPNOTSUPP)) {
    options.direct = false;
    *direct = false;
    file = os::OpenFile(calls, path, options);
  }
  return file;
}

AlignedBuffer::AlignedBuffer(size_t size) : size_((size + 4095) / 4096 * 4096) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 4096, size_) != 0) abort();
  data_ = static_cast<char*>(memory);
}

AlignedBuffer::~AlignedBuffer() { free(data_); }

absl::StatusOr<LogHead> ReadHead(const os::File& file, bool direct, AlignedBuffer* buffer) {
  const size_t want = direct ? kHeadSize : kEncodedHeadSize;
  const auto got = file.ReadAt(0, buffer->data(), want);
  if (!got.ok()) return got.status();
  auto head = DecodeHead(absl::string_view(buffer->data(), *got));
  if (!head.ok()) return os::Annotate(head.status(), file.path());
  return head;
}

}  // namespace spoolrpc::log
