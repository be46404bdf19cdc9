// The bulk buffers that this side of a session writes: files of its half of the session's
// directory, mapped as long as they are there, and filled again and again (docs/format.md, section
// 9; docs/protocol.md, section 7).
//
// The life of a buffer:
// 1. made: a file of a new number, all of its blocks reserved, mapped.
// 2. filled: whoever took it writes a message into the mapping. Its generation has grown before.
// 3. lent: a frame with a reference to it has been written; the peer may look at any time.
// 4. released: the peer has sent a RELEASE for each reference, and nobody here holds it any more.
//    Then it is filled again (2), or removed when nobody has wanted it for a while.
// A crash at any step leaves files that go with the session's directory.
#ifndef SPOOLRPC_LINK_BULK_POOL_H_
#define SPOOLRPC_LINK_BULK_POOL_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/link/bulk_reference.h"
#include "spoolrpc/log/frame.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::link {

struct BulkPoolOptions {
  os::Environment env;
  // Kept as long as anything of the pool's: whatever else env.calls needs. May be null.
  std::shared_ptr<const void> keep_alive;
  std::string directory;  // this side's half of the session
  std::string session_id;
  log::Direction direction = log::Direction::kRequests;
  uint32_t file_mode = 0600;
  // Messages of at least so many bytes go through buffers.
  size_t threshold = 0;
  // All buffers together have at most so many bytes.
  uint64_t limit = 0;
  // A buffer that nobody has wanted for so long is removed.
  os::Nanos keep = os::Nanos{10} * 1000000000;
};

class BulkPool;

// A piece of a buffer that its holder may read, and write until the first reference to it is made.
// While one is held the buffer is not filled again. Thread-safe to let go.
class BulkBlock {
 public:
  ~BulkBlock();
  BulkBlock(const BulkBlock&) = delete;
  BulkBlock& operator=(const BulkBlock&) = delete;

  char* data() const { return data_; }
  size_t capacity() const { return capacity_; }

 private:
  friend class BulkPool;
  struct Buffer;
  BulkBlock(std::shared_ptr<BulkPool> pool, Buffer* buffer);

  const std::shared_ptr<BulkPool> pool_;
  Buffer* const buffer_;
  char* const data_;
  const size_t capacity_;
};

// A reference that is to be written, or has been. If it is let go before it has been written, the
// peer does not get it. Thread-safe to let go.
class BulkLoan {
 public:
  ~BulkLoan();
  BulkLoan(const BulkLoan&) = delete;
  BulkLoan& operator=(const BulkLoan&) = delete;

  const BulkReference& reference() const { return reference_; }
  // The frame with it is in the log, or on its way there: the peer will release it.
  void SetWritten() { written_ = true; }

 private:
  friend class BulkPool;
  BulkLoan(std::shared_ptr<BulkPool> pool, const BulkReference& reference)
      : pool_(std::move(pool)), reference_(reference) {}

  const std::shared_ptr<BulkPool> pool_;
  const BulkReference reference_;
  bool written_ = false;
};

// Thread-safe. Owned by shared_ptr: blocks and loans keep it.
class BulkPool final : public std::enable_shared_from_this<BulkPool> {
 public:
  explicit BulkPool(BulkPoolOptions options);
  ~BulkPool();

  size_t threshold() const { return options_.threshold; }

  // A block of at least `size` bytes, whose content is what it was. Null: there is no room within
  // the limit or on the disk, or a file cannot be made or mapped; then the message goes without.
  // Blocks as the file system does, if a buffer has to be made.
  std::shared_ptr<BulkBlock> Take(size_t size) ABSL_LOCKS_EXCLUDED(mu_);

  // Computes the checksum of the first `length` bytes of a block that has just been filled, and
  // lends them. Null: the file has been truncated or its disk has failed, and the bytes are gone.
  std::unique_ptr<BulkLoan> Lend(const BulkBlock& block, size_t length) ABSL_LOCKS_EXCLUDED(mu_);
  // Fills a block with these bytes and lends it. Null: as Take() and Lend(). If they lie in a block
  // of this pool, which the caller holds, they are lent where they are, without a copy.
  std::unique_ptr<BulkLoan> LendBytes(absl::string_view bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // The peer does not look at the buffer any more, as far as one reference goes. What it does not
  // have is ignored.
  void OnReleased(const BulkRelease& release) ABSL_LOCKS_EXCLUDED(mu_);

  // Removes the buffers that nobody has wanted for a while. To be called now and then. Blocks as
  // the file system does.
  void Housekeep(os::Nanos now) ABSL_LOCKS_EXCLUDED(mu_);

  struct Count {
    size_t buffers = 0;
    size_t lent = 0;     // of them
    uint64_t bytes = 0;  // of all
  };
  Count count() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class BulkBlock;
  friend class BulkLoan;
  using Buffer = BulkBlock::Buffer;
  using Buffers = std::list<std::unique_ptr<Buffer>>;

  // The smallest buffer that nobody uses, has room, and is not far too large (unless `any`); null:
  // none.
  Buffer* FindIdle(size_t size, bool any) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Buffer* FindByNumber(uint32_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes idle buffers out, the longest idle first, until `size` more bytes fit into the limit.
  bool MakeRoom(uint64_t size, Buffers* removed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::shared_ptr<BulkBlock> Give(Buffer* buffer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<std::unique_ptr<Buffer>> Make(uint32_t number, size_t capacity);
  // Removes their files. Without the lock.
  void Remove(Buffers* buffers);
  void OnBlockGone(Buffer* buffer) ABSL_LOCKS_EXCLUDED(mu_);
  // One user less. Lost buffers are taken out: nobody else would.
  void Unuse(Buffer* buffer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::unique_ptr<BulkLoan> LendPiece(Buffer* buffer, const BulkReference& reference)
      ABSL_LOCKS_EXCLUDED(mu_);

  const BulkPoolOptions options_;
  const log::FrameKey key_;

  mutable absl::Mutex mu_;
  Buffers buffers_ ABSL_GUARDED_BY(mu_);
  uint64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;  // of buffers_, and of those that are being made
  uint32_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_BULK_POOL_H_
