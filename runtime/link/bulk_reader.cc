#include "spoolrpc/link/bulk_reader.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/link/bulk_checksum.h"
#include "spoolrpc/spool/layout.h"

namespace spoolrpc::link {
namespace {

constexpr size_t kPage = 4096;

}  // namespace

struct IncomingBulk::Opened {
  const uint32_t buffer;
  const std::unique_ptr<os::Mapping> mapping;
  // --- Under the reader's lock.
  int users = 0;
  os::Nanos last_used = 0;
  size_t populated = 0;  // bytes from the beginning, whole pages

  const char* data() const { return static_cast<const char*>(mapping->address()); }
  size_t size() const { return mapping->size(); }
};

// ---------------------------------------------------------------- a message

IncomingBulk::IncomingBulk(std::shared_ptr<BulkReader> reader, const BulkReference& reference,
                           std::function<void(const BulkRelease&)> release)
    : reader_(std::move(reader)), reference_(reference), release_(std::move(release)) {}

IncomingBulk::~IncomingBulk() {
  if (opened_ != nullptr) reader_->Done(std::move(opened_));
  release_({reference_.buffer, reference_.generation});
}

absl::Status IncomingBulk::Open() {
  if (opened_ != nullptr || file_ != nullptr || !bytes_.empty()) return absl::OkStatus();
  if (reader_->maps_) {
    auto opened = reader_->Map(reference_);
    if (absl::IsDataLoss(opened.status())) return opened.status();
    if (opened.ok()) {
      opened_ = *std::move(opened);
      return absl::OkStatus();
    }
  }
  uint64_t size = 0;
  auto file = reader_->OpenChecked(reference_, &size);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  return absl::OkStatus();
}

absl::Status IncomingBulk::Read() {
  if (!bytes_.empty()) return absl::OkStatus();
  if (absl::Status s = Open(); !s.ok()) return s;
  const uint64_t seed = BulkSeed(reader_->key_, reference_);
  if (opened_ != nullptr) {
    reader_->Populate(opened_.get(), reference_);
    const absl::string_view bytes(opened_->data() + reference_.offset, reference_.length);
    if (BulkChecksum(bytes, seed) == reference_.checksum) {
      bytes_ = bytes;
      return CheckIntact();
    }
  } else {
    // (The constructor of a large array throws where there is no memory for it.)
    copy_.reset(new (std::nothrow) char[reference_.length]);
    if (copy_ == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat("read ", reader_->PathOf(reference_.buffer),
                                                       ": no memory for ", reference_.length,
                                                       " bytes"));
    }
    if (absl::Status s = reader_->Copy(reference_, *file_, copy_.get()); !s.ok()) return s;
    file_.reset();
    // Of the copy, which nobody else can change.
    const absl::string_view bytes(copy_.get(), reference_.length);
    if (BulkChecksum(bytes, seed) == reference_.checksum) {
      bytes_ = bytes;
      return absl::OkStatus();
    }
  }
  return reader_->Damage(reference_.buffer,
                         absl::StrCat("wrong checksum of ", reference_.length, " bytes at offset ",
                                      reference_.offset, ", generation ", reference_.generation));
}

absl::Status IncomingBulk::CheckIntact() const {
  if (opened_ == nullptr || !opened_->mapping->lost()) return absl::OkStatus();
  return reader_->Damage(reference_.buffer, "it was truncated, or its disk has failed");
}

// ---------------------------------------------------------------- the peer's files

BulkReader::BulkReader(BulkReaderOptions options)
    : options_(std::move(options)),
      key_(options_.session_id, options_.direction),
      maps_(options_.owner == geteuid()) {}

BulkReader::~BulkReader() = default;

std::shared_ptr<IncomingBulk> BulkReader::Take(const BulkReference& reference,
                                               std::function<void(const BulkRelease&)> release) {
  return std::shared_ptr<IncomingBulk>(
      new IncomingBulk(shared_from_this(), reference, std::move(release)));
}

std::string BulkReader::PathOf(uint32_t buffer) const {
  return spool::Join(options_.directory, absl::StrCat(spool::kBulk, buffer));
}

absl::Status BulkReader::Damage(uint32_t buffer, absl::string_view what) const {
  return absl::DataLossError(absl::StrCat("read ", PathOf(buffer), ": ", what));
}

absl::StatusOr<std::unique_ptr<os::File>> BulkReader::OpenChecked(const BulkReference& reference,
                                                                  uint64_t* size) const {
  auto file = os::OpenFile(options_.env.calls, PathOf(reference.buffer), os::OpenOptions{});
  if (!file.ok()) {
    // Too many files are open here, say; or there is none such, or a symbolic link: damage.
    if (absl::IsResourceExhausted(file.status()) || absl::IsUnavailable(file.status())) {
      return file.status();
    }
    return Damage(reference.buffer, file.status().message());
  }
  const auto info = (*file)->Stat();
  if (!info.ok()) return info.status();
  if (info->type != os::FileInfo::Type::kFile) {
    return Damage(reference.buffer, "not a regular file");
  }
  if (info->links > 1) {
    return Damage(reference.buffer, absl::StrCat("it has ", info->links, " links, not 1"));
  }
  if (info->uid != options_.owner) {
    return Damage(reference.buffer,
                  absl::StrCat("it belongs to uid ", info->uid, ", not to uid ", options_.owner));
  }
  if (info->size < reference.offset + reference.length || info->size > kMaxBulkBuffer) {
    return Damage(reference.buffer,
                  absl::StrCat("it has ", info->size, " bytes, the message ends at ",
                               reference.offset + reference.length));
  }
  *size = info->size;
  return file;
}

absl::StatusOr<std::shared_ptr<BulkReader::Opened>> BulkReader::Map(
    const BulkReference& reference) {
  const os::Nanos now = options_.env.clock->Now();
  {
    absl::MutexLock lock(&mu_);
    for (auto it = opened_.begin(); it != opened_.end(); ++it) {
      Opened* const opened = it->get();
      if (opened->buffer != reference.buffer) continue;
      if (opened->mapping->lost() || opened->size() < reference.offset + reference.length) {
        return Damage(reference.buffer, "it was truncated, or its disk has failed");
      }
      ++opened->users;
      opened->last_used = now;
      opened_.splice(opened_.begin(), opened_, it);
      return opened_.front();
    }
  }
  uint64_t size = 0;
  auto file = OpenChecked(reference, &size);
  if (!file.ok()) return file.status();
  auto mapping = (*file)->MapForReading(size);
  if (!mapping.ok()) return mapping.status();
  // (The descriptor is closed: the mapping stays.)
  auto opened = std::shared_ptr<Opened>(  // NOLINT(modernize-make-shared): an aggregate
      new Opened{reference.buffer, *std::move(mapping)});
  opened->users = 1;
  opened->last_used = now;
  absl::MutexLock lock(&mu_);
  // (Two messages in a new buffer may both have mapped it.)
  opened_.push_front(opened);
  return opened;
}

void BulkReader::Populate(Opened* opened, const BulkReference& reference) {
  // Only what the message needs: a file may claim to be far larger.
  const size_t end =
      std::min((reference.offset + reference.length + kPage - 1) / kPage * kPage, opened->size());
  size_t from = 0;
  {
    absl::MutexLock lock(&mu_);
    from = opened->populated;
    opened->populated = std::max(from, end);
  }
  if (from < end) opened->mapping->PopulateForReading(from, end - from);
}

absl::Status BulkReader::Copy(const BulkReference& reference, const os::File& file,
                              char* to) const {
  const auto got = file.ReadAt(reference.offset, to, reference.length);
  if (!got.ok()) return got.status();
  if (*got < reference.length) {
    return Damage(reference.buffer, absl::StrCat("it ends after ", *got, " bytes of the message"));
  }
  return absl::OkStatus();
}

std::list<std::shared_ptr<BulkReader::Opened>> BulkReader::Shrink(os::Nanos before) {
  std::list<std::shared_ptr<Opened>> removed;
  uint64_t kept = 0;
  for (auto it = opened_.begin(); it != opened_.end();) {
    const auto next = std::next(it);
    if ((*it)->users == 0) {
      if (kept + (*it)->size() > options_.keep_bytes || (*it)->last_used <= before ||
          (*it)->mapping->lost()) {
        removed.splice(removed.end(), opened_, it);
      } else {
        kept += (*it)->size();
      }
    }
    it = next;
  }
  return removed;
}

void BulkReader::Done(std::shared_ptr<Opened> opened) {
  std::list<std::shared_ptr<Opened>> removed;  // unmapped without the lock
  absl::MutexLock lock(&mu_);
  --opened->users;
  opened->last_used = options_.env.clock->Now();
  opened.reset();
  removed = Shrink(std::numeric_limits<os::Nanos>::min());
}

void BulkReader::Housekeep(os::Nanos now) {
  std::list<std::shared_ptr<Opened>> removed;
  absl::MutexLock lock(&mu_);
  removed = Shrink(now - options_.keep);
}

uint64_t BulkReader::mapped() const {
  absl::MutexLock lock(&mu_);
  uint64_t sum = 0;
  for (const auto& opened : opened_) sum += opened->size();
  return sum;
}

}  // namespace spoolrpc::link
