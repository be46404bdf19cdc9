// A doorbell: a counter in memory that both sides of one host map, to wake without polling
// (docs/format.md, section 6). It is a hint: whoever is woken looks at the file, and whoever is not
// looks at it after a while all the same.
#ifndef SPOOLRPC_WAIT_DOORBELL_H_
#define SPOOLRPC_WAIT_DOORBELL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::wait {

// Thread-safe. The owner sleeps on it; peers, and the owner's other threads, ring it.
class Doorbell {
 public:
  static constexpr uint32_t kMaxSlots = 4096;

  // A doorbell of this process alone.
  static std::unique_ptr<Doorbell> InMemory(uint32_t slots);
  // Creates the file `path` with room for `slots` peers (1 to kMaxSlots) and maps it.
  static absl::StatusOr<std::unique_ptr<Doorbell>> Create(os::SystemCalls* calls,
                                                          const std::string& path, uint32_t slots,
                                                          uint32_t mode);
  // Maps the doorbell of a peer. The file must be a regular one, belong to `owner`, which must be
  // this process's own user (whoever may write to a file that is mapped can write anything at any
  // time, so only one's own files are), have one link, and lie on a local file system.
  static absl::StatusOr<std::unique_ptr<Doorbell>> Attach(os::SystemCalls* calls,
                                                          const std::string& path, uint32_t owner);

  ~Doorbell();

  uint32_t slots() const { return slots_; }
  uint64_t nonce() const;
  // Of the file; 0 for one in memory.
  uint64_t device() const { return device_; }
  uint64_t inode() const { return inode_; }
  // The file has shrunk, or its disk has failed: nobody else's ringing comes here any more, no slot
  // counts as echoed, and what this process rings is heard by itself alone.
  bool lost() const;

  // --- Ringing.

  // Says that the log of the peer in `slot` is written up to `position`, and wakes the owner.
  void Ring(uint32_t slot, uint64_t position);
  // Says that a name was put into a directory of the owner's.
  void RingInbox();
  // Wakes the owner without saying why.
  void Wake();
  // Proves to the owner that this process's writes reach its memory.
  void Echo(uint32_t slot);

  // --- The owner's side.

  uint32_t counter() const;
  // Blocks until counter() is not `seen` any more, or for `timeout` nanoseconds; may return early.
  void Sleep(uint32_t seen, os::Nanos timeout);
  // Calls `fn(slot)` for every slot that was rung since the last time.
  void TakeRung(absl::FunctionRef<void(uint32_t)> fn);
  // Up to which position the peer in `slot` says that its log is written.
  uint64_t published(uint32_t slot) const;
  bool echoed(uint32_t slot) const;
  uint64_t inbox() const;
  // Makes the slot ready for another peer.
  void ClearSlot(uint32_t slot);

 private:
  struct Page;
  struct Slot;

  Doorbell(std::unique_ptr<os::Mapping> mapping, std::unique_ptr<char[]> memory, char* base,
           uint32_t slots);
  Slot& slot(uint32_t index) const;

  const std::unique_ptr<os::Mapping> mapping_;
  const std::unique_ptr<char[]> memory_;
  Page* const page_;
  const uint32_t slots_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

}  // namespace spoolrpc::wait

#endif  // SPOOLRPC_WAIT_DOORBELL_H_
