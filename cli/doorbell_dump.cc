// Dumps doorbells (docs/format.md, section 6). They are shared memory: what is read is a snapshot
// that may mix moments, and nothing depends on it.

#include <string.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/file_dumps.h"
#include "cli/text.h"
#include "spoolrpc/wait/doorbell.h"

namespace spoolrpc::cli {
namespace {

constexpr uint32_t kVersion = 1;
constexpr size_t kPageSize = 1024;  // before the slots
constexpr size_t kSlotSize = 64;
constexpr uint64_t kEchoMask = 0x53504F4F4C454348ull;
constexpr size_t kDirtyOffset = 256;
constexpr size_t kDirtyWords = wait::Doorbell::kMaxSlots / 64;

template <class T>
T Load(absl::string_view bytes, size_t offset) {
  T value = 0;
  if (offset + sizeof(value) <= bytes.size()) memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

}  // namespace

void DumpDoorbell(ByteSource* source, Report* report) {
  const std::string page(source->At(0, kPageSize));
  const uint32_t version = Load<uint32_t>(page, 8);
  const uint32_t slots = Load<uint32_t>(page, 12);
  const uint64_t nonce = Load<uint64_t>(page, 16);
  report->Headline(absl::StrCat("doorbell: ", Plural(slots, "slot"), ", rung ",
                                Plural(Load<uint32_t>(page, 64), "time")));
  CheckMagic(page, kDoorbellMagic, report);
  if (page.size() < kPageSize) {
    report->ProblemAt(page.size(), absl::StrCat("truncated: a doorbell has ", kPageSize,
                                                " bytes before its slots"));
  }
  if (page.size() >= 12 && version != kVersion) {
    report->ProblemAt(8,
                      absl::StrCat("format version ", version, ", this software knows ", kVersion));
  }
  const bool plausible = slots >= 1 && slots <= wait::Doorbell::kMaxSlots;
  if (page.size() >= 16 && !plausible) {
    report->ProblemAt(
        12, absl::StrCat(slots, " slots; a doorbell has 1 to ", wait::Doorbell::kMaxSlots));
  }
  const uint64_t size = kPageSize + uint64_t{slots} * kSlotSize;
  if (plausible && page.size() == kPageSize && source->size() < size) {
    report->ProblemAt(source->size(), absl::StrCat("truncated: ", Plural(slots, "slot"), " need ",
                                                   size, " bytes, the file has ", source->size()));
  }
  if (!report->details()) return;
  report->Detail(absl::StrFormat("nonce 0x%016x, counter %d, sleepers %d, inbox %d", nonce,
                                 Load<uint32_t>(page, 64), Load<uint32_t>(page, 128),
                                 Load<uint64_t>(page, 192)));
  const uint32_t shown = plausible ? slots : 0;
  for (uint32_t index = 0; index < shown; ++index) {
    const absl::string_view slot =
        source->At(kPageSize + uint64_t{index} * kSlotSize, 2 * sizeof(uint64_t));
    const uint64_t published = Load<uint64_t>(slot, 0);
    const uint64_t echo = Load<uint64_t>(slot, 8);
    const size_t word = index / 64;
    const bool dirty = word < kDirtyWords &&
                       (Load<uint64_t>(page, kDirtyOffset + 8 * word) >> (index % 64) & 1) != 0;
    if (published == 0 && echo == 0 && !dirty) continue;
    report->Detail(absl::StrFormat("slot %d: published %d, %s%s", index, published,
                                   echo == (nonce ^ kEchoMask) ? "echoed"
                                   : echo == 0
                                       ? "not echoed"
                                       : absl::StrFormat("echo 0x%016x, which is wrong", echo),
                                   dirty ? ", rung" : ""));
  }
}

}  // namespace spoolrpc::cli
