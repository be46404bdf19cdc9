#include "cli/byte_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file_system_type.h"

namespace spoolrpc::cli {
namespace {

constexpr uint64_t kBlock = 4096;
constexpr uint64_t kWindow = 4 * ByteSource::kMaxView;

}  // namespace

absl::string_view StringSource::At(uint64_t offset, size_t length) {
  return offset >= bytes_.size() ? absl::string_view() : bytes_.substr(offset, length);
}

absl::StatusOr<std::unique_ptr<FileSource>> FileSource::Open(os::SystemCalls* calls,
                                                             const std::string& path) {
  const auto type = os::DescribeFileSystem(calls, path);
  if (!type.ok()) return type.status();
  log::FileAccess access;
  access.direct_reads = !type->local;
  bool direct = false;
  auto file = log::OpenLogForReading(calls, path, access, &direct);
  if (!file.ok()) return file.status();
  const auto info = (*file)->Stat();
  if (!info.ok()) return info.status();
  if (info->type != os::FileInfo::Type::kFile) {
    return absl::FailedPreconditionError(absl::StrCat("read ", path, ": not a regular file"));
  }
  return std::unique_ptr<FileSource>(new FileSource(*std::move(file), info->size));
}

// A block more than the file has, so that a direct reading sees its end.
FileSource::FileSource(std::unique_ptr<os::File> file, uint64_t size)
    : file_(std::move(file)),
      size_(size),
      readable_(size),
      window_(std::min(size, kWindow) / kBlock * kBlock + 2 * kBlock) {}

void FileSource::Fill(uint64_t offset) {
  begin_ = offset / kBlock * kBlock;
  filled_ = 0;
  const auto got = file_->ReadAt(begin_, window_.data(), window_.size());
  if (got.ok()) {
    filled_ = std::min<uint64_t>(*got, size_ > begin_ ? size_ - begin_ : 0);
    // It has shrunk meanwhile: there is no use in trying again at each byte.
    if (*got < window_.size()) readable_ = std::min(size_, begin_ + filled_);
  } else {
    error_.Update(got.status());
  }
}

absl::string_view FileSource::At(uint64_t offset, size_t length) {
  if (offset >= readable_) return {};
  length = std::min<uint64_t>({length, readable_ - offset, kMaxView});
  if (offset < begin_ || offset + length > begin_ + filled_) {
    // After an error only what the window holds can be had: no use in failing at each byte.
    if (!error_.ok()) return {};
    Fill(offset);
  }
  if (offset < begin_ || offset >= begin_ + filled_) return {};
  return absl::string_view(window_.data() + (offset - begin_),
                           std::min<uint64_t>(length, begin_ + filled_ - offset));
}

bool FileSource::Reload() {
  filled_ = 0;
  readable_ = size_;
  return error_.ok();
}

}  // namespace spoolrpc::cli
