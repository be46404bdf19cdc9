#include "spoolrpc/wait/doorbell.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file_system_type.h"
#include "spoolrpc/os/random.h"

namespace spoolrpc::wait {
namespace {

constexpr char kMagic[9] = "SPOOLBEL";
constexpr uint32_t kVersion = 1;
constexpr size_t kSlotsOffset = 1024;
constexpr size_t kSlotSize = 64;
constexpr uint64_t kEchoMask = 0x53504F4F4C454348ull;

size_t FileSize(uint32_t slots) { return kSlotsOffset + size_t{slots} * kSlotSize; }

}  // namespace

struct Doorbell::Page {
  char magic[8];
  uint32_t version;
  uint32_t slots;
  uint64_t nonce;
  alignas(64) std::atomic<uint32_t> counter;
  alignas(64) std::atomic<uint32_t> sleepers;
  alignas(64) std::atomic<uint64_t> inbox;
  alignas(64) std::atomic<uint64_t> dirty[kMaxSlots / 64];
};

struct Doorbell::Slot {
  alignas(64) std::atomic<uint64_t> published;
  std::atomic<uint64_t> echo;
};

Doorbell::Doorbell(std::unique_ptr<os::Mapping> mapping, std::unique_ptr<char[]> memory, char* base,
                   uint32_t slots)
    : mapping_(std::move(mapping)),
      memory_(std::move(memory)),
      page_(reinterpret_cast<Page*>(base)),
      slots_(slots) {
  static_assert(offsetof(Page, counter) == 64 && offsetof(Page, sleepers) == 128 &&
                    offsetof(Page, inbox) == 192 && offsetof(Page, dirty) == 256,
                "docs/format.md, section 6");
  static_assert(sizeof(Slot) == kSlotSize && sizeof(Page) <= kSlotsOffset, "section 6");
  static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");
}

Doorbell::~Doorbell() = default;

Doorbell::Slot& Doorbell::slot(uint32_t index) const {
  char* const base = reinterpret_cast<char*>(page_);
  return *reinterpret_cast<Slot*>(base + kSlotsOffset + size_t{index} * kSlotSize);
}

std::unique_ptr<Doorbell> Doorbell::InMemory(uint32_t slots) {
  auto memory = std::make_unique<char[]>(FileSize(slots) + 64);
  char* base = memory.get();
  base += (64 - reinterpret_cast<uintptr_t>(base) % 64) % 64;
  return std::unique_ptr<Doorbell>(new Doorbell(nullptr, std::move(memory), base, slots));
}

absl::StatusOr<std::unique_ptr<Doorbell>> Doorbell::Create(os::SystemCalls* calls,
                                                           const std::string& path, uint32_t slots,
                                                           uint32_t mode) {
  os::OpenOptions options;
  options.access = os::OpenOptions::Access::kReadWrite;
  options.create = true;
  options.mode = mode;
  auto file = os::OpenFile(calls, path, options);
  if (!file.ok()) return file.status();
  // With its blocks reserved: a store to a page without one would kill the process on a full disk.
  if (absl::Status s = (*file)->Allocate(FileSize(slots)); !s.ok()) return s;
  char head[24] = {};
  const uint64_t nonce = os::RandomUint64() | 1;
  memcpy(head, kMagic, 8);
  memcpy(head + 8, &kVersion, 4);
  memcpy(head + 12, &slots, 4);
  memcpy(head + 16, &nonce, 8);
  if (absl::Status s = (*file)->WriteAt(0, absl::string_view(head, sizeof(head))); !s.ok()) {
    return s;
  }
  const auto info = (*file)->Stat();
  if (!info.ok()) return info.status();
  auto mapping = (*file)->Map(FileSize(slots));
  if (!mapping.ok()) return mapping.status();
  char* const base = static_cast<char*>((*mapping)->address());
  auto bell = std::unique_ptr<Doorbell>(new Doorbell(*std::move(mapping), nullptr, base, slots));
  bell->device_ = info->device;
  bell->inode_ = info->inode;
  return bell;
}

absl::StatusOr<std::unique_ptr<Doorbell>> Doorbell::Attach(os::SystemCalls* calls,
                                                           const std::string& path,
                                                           uint32_t owner) {
  if (owner != geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat("map ", path, ": another user's file"));
  }
  os::OpenOptions options;
  options.access = os::OpenOptions::Access::kReadWrite;
  auto file = os::OpenFile(calls, path, options);
  if (!file.ok()) return file.status();
  const auto info = (*file)->Stat();
  if (!info.ok()) return info.status();
  char head[24];
  const auto got = (*file)->ReadAt(0, head, sizeof(head));
  if (!got.ok()) return got.status();
  uint32_t version = 0;
  uint32_t slots = 0;
  if (*got == sizeof(head)) {
    memcpy(&version, head + 8, 4);
    memcpy(&slots, head + 12, 4);
  }
  if (info->type != os::FileInfo::Type::kFile || info->links != 1 || info->uid != owner ||
      memcmp(head, kMagic, 8) != 0 || version != kVersion || slots < 1 || slots > kMaxSlots ||
      info->size < FileSize(slots)) {
    return absl::FailedPreconditionError(
        absl::StrCat("map ", path, ": not a doorbell of format version ", kVersion));
  }
  auto mapping = (*file)->Map(FileSize(slots));
  if (!mapping.ok()) return mapping.status();
  char* const base = static_cast<char*>((*mapping)->address());
  auto bell = std::unique_ptr<Doorbell>(new Doorbell(*std::move(mapping), nullptr, base, slots));
  bell->device_ = info->device;
  bell->inode_ = info->inode;
  return bell;
}

bool Doorbell::lost() const { return mapping_ != nullptr && mapping_->lost(); }

uint64_t Doorbell::nonce() const { return page_->nonce; }

void Doorbell::Ring(uint32_t index, uint64_t position) {
  if (index >= slots_) return;
  slot(index).published.store(position, std::memory_order_release);
  page_->dirty[index / 64].fetch_or(uint64_t{1} << (index % 64), std::memory_order_release);
  Wake();
}

void Doorbell::RingInbox() {
  page_->inbox.fetch_add(1, std::memory_order_release);
  Wake();
}

void Doorbell::Wake() {
  // Sequentially consistent against Sleep(): either this sees the sleeper, or the sleeper sees the
  // new count.
  page_->counter.fetch_add(1, std::memory_order_seq_cst);
  if (page_->sleepers.load(std::memory_order_seq_cst) != 0) {
    syscall(SYS_futex, &page_->counter, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  }
}

void Doorbell::Echo(uint32_t index) {
  if (index >= slots_) return;
  slot(index).echo.store(page_->nonce ^ kEchoMask, std::memory_order_release);
  Wake();
}

uint32_t Doorbell::counter() const { return page_->counter.load(std::memory_order_acquire); }

void Doorbell::Sleep(uint32_t seen, os::Nanos timeout) {
  if (timeout <= 0) return;
  timespec relative;
  relative.tv_sec = std::min<os::Nanos>(timeout / 1000000000, 1000000);
  relative.tv_nsec = timeout % 1000000000;
  page_->sleepers.fetch_add(1, std::memory_order_seq_cst);
  if (page_->counter.load(std::memory_order_seq_cst) == seen) {
    syscall(SYS_futex, &page_->counter, FUTEX_WAIT, seen, &relative, nullptr, 0);
  }
  page_->sleepers.fetch_sub(1, std::memory_order_seq_cst);
}

void Doorbell::TakeRung(absl::FunctionRef<void(uint32_t)> fn) {
  for (uint32_t word = 0; word * 64 < slots_; ++word) {
    if (page_->dirty[word].load(std::memory_order_relaxed) == 0) continue;
    uint64_t bits = page_->dirty[word].exchange(0, std::memory_order_acquire);
    while (bits != 0) {
      const int bit = __builtin_ctzll(bits);
      bits &= bits - 1;
      const uint32_t index = word * 64 + bit;
      if (index < slots_) fn(index);
    }
  }
}

uint64_t Doorbell::published(uint32_t index) const {
  return index < slots_ ? slot(index).published.load(std::memory_order_acquire) : 0;
}

bool Doorbell::echoed(uint32_t index) const {
  return index < slots_ &&
         slot(index).echo.load(std::memory_order_acquire) == (page_->nonce ^ kEchoMask);
}

uint64_t Doorbell::inbox() const { return page_->inbox.load(std::memory_order_acquire); }

void Doorbell::ClearSlot(uint32_t index) {
  if (index >= slots_) return;
  slot(index).published.store(0, std::memory_order_relaxed);
  slot(index).echo.store(0, std::memory_order_relaxed);
}

}  // namespace spoolrpc::wait
