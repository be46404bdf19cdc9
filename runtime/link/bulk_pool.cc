#include "spoolrpc/link/bulk_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/link/bulk_checksum.h"
#include "spoolrpc/spool/layout.h"

namespace spoolrpc::link {
namespace {

constexpr size_t kPage = 4096;
// A buffer may be so many times as large as what it is taken for, while another can be made.
constexpr size_t kTooLarge = 4;

// So that messages whose sizes differ a little find the same buffers: one of eight sizes between
// two powers of two.
size_t CapacityFor(size_t size) {
  size_t step = kPage;
  while (step * 16 < size) step *= 2;
  return (size + step - 1) / step * step;
}

}  // namespace

// What is constant, and what belongs to the pool's lock.
struct BulkBlock::Buffer {
  const uint32_t number;
  const std::string path;
  const std::unique_ptr<os::Mapping> mapping;
  // --- Under the pool's lock.
  uint64_t generation = 0;
  int users = 0;  // blocks and loans
  int lent = 0;   // of them, references that the peer has
  os::Nanos idle_since = 0;
  // The last reference that was made since it was filled: the bytes have not changed since.
  BulkReference last;

  char* data() const { return static_cast<char*>(mapping->address()); }
  size_t capacity() const { return mapping->size(); }
};

BulkBlock::BulkBlock(std::shared_ptr<BulkPool> pool, Buffer* buffer)
    : pool_(std::move(pool)),
      buffer_(buffer),
      data_(buffer->data()),
      capacity_(buffer->capacity()) {}

BulkBlock::~BulkBlock() { pool_->OnBlockGone(buffer_); }

BulkLoan::~BulkLoan() {
  // Nobody else will.
  if (!written_) pool_->OnReleased({reference_.buffer, reference_.generation});
}

BulkPool::BulkPool(BulkPoolOptions options)
    : options_(std::move(options)), key_(options_.session_id, options_.direction) {}

BulkPool::~BulkPool() = default;

// ---------------------------------------------------------------- taking

BulkPool::Buffer* BulkPool::FindIdle(size_t size, bool any) {
  Buffer* best = nullptr;
  for (const auto& buffer : buffers_) {
    if (buffer->users > 0 || buffer->capacity() < size || buffer->mapping->lost()) continue;
    if (!any && buffer->capacity() / kTooLarge > size) continue;
    if (best == nullptr || buffer->capacity() < best->capacity()) best = buffer.get();
  }
  return best;
}

BulkPool::Buffer* BulkPool::FindByNumber(uint32_t number) {
  for (const auto& buffer : buffers_) {
    if (buffer->number == number) return buffer.get();
  }
  return nullptr;
}

bool BulkPool::MakeRoom(uint64_t size, Buffers* removed) {
  if (size > options_.limit) return false;
  while (bytes_ + size > options_.limit) {
    auto oldest = buffers_.end();
    for (auto it = buffers_.begin(); it != buffers_.end(); ++it) {
      if ((*it)->users > 0) continue;
      if (oldest == buffers_.end() || (*it)->idle_since < (*oldest)->idle_since) oldest = it;
    }
    if (oldest == buffers_.end()) return false;
    bytes_ -= (*oldest)->capacity();
    removed->splice(removed->end(), buffers_, oldest);
  }
  return true;
}

std::shared_ptr<BulkBlock> BulkPool::Give(Buffer* buffer) {
  ++buffer->generation;
  ++buffer->users;
  buffer->last = BulkReference();
  return std::shared_ptr<BulkBlock>(new BulkBlock(shared_from_this(), buffer));
}

std::shared_ptr<BulkBlock> BulkPool::Take(size_t size) {
  if (size == 0 || size > kMaxBulkLength) return nullptr;
  const size_t capacity = CapacityFor(size);
  Buffers removed;
  uint32_t number = 0;
  {
    absl::MutexLock lock(&mu_);
    if (Buffer* const idle = FindIdle(size, /*any=*/false)) return Give(idle);
    // One that is far too large is better than to remove it for another.
    if (bytes_ + capacity > options_.limit) {
      if (Buffer* const idle = FindIdle(size, /*any=*/true)) return Give(idle);
    }
    if (last_number_ < spool::kMaxNumber && MakeRoom(capacity, &removed)) {
      number = ++last_number_;
      bytes_ += capacity;
    }
  }
  Remove(&removed);
  if (number > 0) {
    auto made = Make(number, capacity);
    absl::MutexLock lock(&mu_);
    if (made.ok()) {
      buffers_.push_back(*std::move(made));
      return Give(buffers_.back().get());
    }
    bytes_ -= capacity;
  }
  absl::MutexLock lock(&mu_);
  Buffer* const idle = FindIdle(size, /*any=*/true);
  return idle == nullptr ? nullptr : Give(idle);
}

absl::StatusOr<std::unique_ptr<BulkPool::Buffer>> BulkPool::Make(uint32_t number, size_t capacity) {
  const std::string path = spool::Join(options_.directory, absl::StrCat(spool::kBulk, number));
  os::OpenOptions open;
  open.access = os::OpenOptions::Access::kReadWrite;
  open.create = true;
  open.mode = options_.file_mode;
  auto file = os::OpenFile(options_.env.calls, path, open);
  if (!file.ok()) return file.status();
  // All of it now: a full disk must be met here, and not as a signal when the page is written to.
  absl::Status status = (*file)->Allocate(capacity);
  if (status.ok()) {
    auto mapping = (*file)->Map(capacity);
    if (mapping.ok()) {
      (*mapping)->PopulateForWriting();
      return std::unique_ptr<Buffer>(  // NOLINT(modernize-make-unique): an aggregate
          new Buffer{number, path, *std::move(mapping)});
    }
    status = mapping.status();
  }
  os::RemoveFile(options_.env.calls, path).IgnoreError();
  return status;
}

// ---------------------------------------------------------------- lending

std::unique_ptr<BulkLoan> BulkPool::LendPiece(Buffer* buffer, const BulkReference& reference) {
  // What was written, or verified, in memory that came in the place of the file is in no file.
  const bool lost = buffer->mapping->lost();
  absl::MutexLock lock(&mu_);
  if (lost) return nullptr;
  buffer->last = reference;
  ++buffer->users;
  ++buffer->lent;
  return std::unique_ptr<BulkLoan>(new BulkLoan(shared_from_this(), reference));
}

std::unique_ptr<BulkLoan> BulkPool::Lend(const BulkBlock& block, size_t length) {
  Buffer* const buffer = block.buffer_;
  BulkReference reference;
  reference.buffer = buffer->number;
  reference.length = length;
  {
    absl::MutexLock lock(&mu_);
    reference.generation = buffer->generation;
  }
  reference.checksum =
      BulkChecksum(absl::string_view(block.data(), length), BulkSeed(key_, reference));
  return LendPiece(buffer, reference);
}

std::unique_ptr<BulkLoan> BulkPool::LendBytes(absl::string_view bytes) {
  Buffer* own = nullptr;
  BulkReference reference;
  reference.length = bytes.size();
  {
    absl::MutexLock lock(&mu_);
    for (const auto& buffer : buffers_) {
      // (As numbers: the pointers may be into different arrays.)
      const auto begin = reinterpret_cast<uintptr_t>(buffer->data());
      const auto at = reinterpret_cast<uintptr_t>(bytes.data());
      if (at < begin || at - begin + bytes.size() > buffer->capacity()) continue;
      if (buffer->users == 0) continue;
      own = buffer.get();
      reference.buffer = own->number;
      reference.generation = own->generation;
      reference.offset = at - begin;
      if (own->last.length == reference.length && own->last.offset == reference.offset) {
        reference.checksum = own->last.checksum;
      }
      break;
    }
  }
  if (own != nullptr) {
    if (reference.checksum == 0) {
      reference.checksum = BulkChecksum(bytes, BulkSeed(key_, reference));
    }
    return LendPiece(own, reference);
  }
  const std::shared_ptr<BulkBlock> block = Take(bytes.size());
  if (block == nullptr) return nullptr;
  reference.buffer = block->buffer_->number;
  {
    absl::MutexLock lock(&mu_);
    reference.generation = block->buffer_->generation;
  }
  reference.checksum = CopyWithBulkChecksum(bytes, BulkSeed(key_, reference), block->data());
  return LendPiece(block->buffer_, reference);
}

// ---------------------------------------------------------------- giving back

void BulkPool::Unuse(Buffer* buffer) {
  if (--buffer->users == 0) buffer->idle_since = options_.env.clock->Now();
}

void BulkPool::OnBlockGone(Buffer* buffer) {
  absl::MutexLock lock(&mu_);
  Unuse(buffer);
}

void BulkPool::OnReleased(const BulkRelease& release) {
  absl::MutexLock lock(&mu_);
  Buffer* const buffer = FindByNumber(release.buffer);
  if (buffer == nullptr || buffer->generation != release.generation || buffer->lent == 0) return;
  --buffer->lent;
  Unuse(buffer);
}

void BulkPool::Housekeep(os::Nanos now) {
  Buffers removed;
  {
    absl::MutexLock lock(&mu_);
    for (auto it = buffers_.begin(); it != buffers_.end();) {
      const auto next = std::next(it);
      Buffer* const buffer = it->get();
      if (buffer->users == 0 &&
          (now - buffer->idle_since >= options_.keep || buffer->mapping->lost())) {
        bytes_ -= buffer->capacity();
        removed.splice(removed.end(), buffers_, it);
      }
      it = next;
    }
  }
  Remove(&removed);
}

void BulkPool::Remove(Buffers* buffers) {
  for (const auto& buffer : *buffers) {
    os::RemoveFile(options_.env.calls, buffer->path).IgnoreError();
  }
  buffers->clear();
}

BulkPool::Count BulkPool::count() const {
  absl::MutexLock lock(&mu_);
  Count count;
  for (const auto& buffer : buffers_) {
    ++count.buffers;
    if (buffer->lent > 0) ++count.lent;
  }
  count.bytes = bytes_;
  return count;
}

}  // namespace spoolrpc::link
