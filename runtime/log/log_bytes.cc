#include "spoolrpc/log/log_bytes.h"

#include <string.h>

#include <utility>

namespace spoolrpc::log {
namespace {

// To map a file and touch its pages costs as much as some fifty system calls, and memory: sessions
// that are hardly used go without.
constexpr uint64_t kMapAfter = 64;
// Who is idle looks now and then all the same.
constexpr uint64_t kIdleAccesses = 4;

}  // namespace

LogBytes::LogBytes(std::unique_ptr<os::File> file, uint64_t size, Use use)
    : file_(std::move(file)), size_(size), use_(use) {}

void LogBytes::Map() {
  auto mapping = use_ == Use::kWriting ? file_->Map(size_) : file_->MapForReading(size_);
  if (!mapping.ok()) {
    may_map_ = false;
    return;
  }
  mapping_ = *std::move(mapping);
  if (use_ == Use::kWriting) {
    mapping_->PopulateForWriting();
  } else {
    mapping_->PopulateForReading(0, size_);
  }
}

char* LogBytes::Mapped(uint64_t offset, size_t count) {
  ++accesses_;
  if (mapping_ == nullptr) {
    if (!may_map_ || accesses_ < kMapAfter) return nullptr;
    Map();
    if (mapping_ == nullptr) return nullptr;
  }
  if (offset > size_ || count > size_ - offset) return nullptr;
  return static_cast<char*>(mapping_->address()) + offset;
}

bool LogBytes::Intact() {
  if (!mapping_->lost()) return true;
  mapping_.reset();
  may_map_ = false;
  return false;
}

absl::StatusOr<size_t> LogBytes::ReadAt(uint64_t offset, char* buffer, size_t count) {
  if (const char* const from = Mapped(offset, count)) {
    memcpy(buffer, from, count);
    if (Intact()) return count;
  }
  return file_->ReadAt(offset, buffer, count);
}

absl::Status LogBytes::WriteAt(uint64_t offset, absl::string_view data) {
  if (char* const to = Mapped(offset, data.size())) {
    memcpy(to, data.data(), data.size());
    if (Intact()) return absl::OkStatus();
  }
  return file_->WriteAt(offset, data);
}

bool LogBytes::UnmapIfIdle() {
  const bool idle = accesses_ <= kIdleAccesses;
  if (idle) mapping_.reset();
  accesses_ = 0;
  return !idle;
}

}  // namespace spoolrpc::log
