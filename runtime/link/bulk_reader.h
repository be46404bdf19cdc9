// The peer's bulk buffers, as its messages come in them: mapped where both sides are one user, else
// copied, and verified before anybody looks at a byte (docs/format.md, section 9).
#ifndef SPOOLRPC_LINK_BULK_READER_H_
#define SPOOLRPC_LINK_BULK_READER_H_

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "spoolrpc/link/bulk_reference.h"
#include "spoolrpc/log/frame.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::link {

struct BulkReaderOptions {
  os::Environment env;
  // Kept as long as any message of the reader's: whatever else env.calls needs. May be null.
  std::shared_ptr<const void> keep_alive;
  std::string directory;  // the peer's half of the session
  std::string session_id;
  log::Direction direction = log::Direction::kRequests;
  uint32_t owner = 0;  // whose its files have to be
  // Mappings of buffers that no message uses are kept for the next message up to so many bytes...
  uint64_t keep_bytes = 0;
  // ...and so long. (The peer may have removed the file: its blocks are free when this goes.)
  os::Nanos keep = os::Nanos{10} * 1000000000;
};

class BulkReader;

// A message that has come in a bulk buffer. Whoever takes its reference from a frame has one, and
// when the last handle goes the peer gets its RELEASE. Read() is for one thread; letting go is
// thread-safe.
class IncomingBulk {
 public:
  ~IncomingBulk();
  IncomingBulk(const IncomingBulk&) = delete;
  IncomingBulk& operator=(const IncomingBulk&) = delete;

  // As the reference says it; nothing has been looked at yet.
  uint64_t size() const { return reference_.length; }

  // Opens or maps the file, so that it may go. What fails here fails in Read() too.
  absl::Status Open();
  // Makes the bytes readable and verifies them; a second time it is OK at once if the first was.
  // Blocks as the file system does. One thread at a time, as Open().
  // - DATA_LOSS: there is no such file, it is not what the peer may have put there (another user's,
  //   a symbolic link, FIFO, shorter than it says, several links), or the bytes are not those that
  //   were sealed. The session is damaged.
  // - Any other error: this process has not got what it takes, such as descriptors or memory.
  absl::Status Read();
  // After Read() has returned OK, as long as this lives.
  absl::string_view bytes() const { return bytes_; }
  // DATA_LOSS if the file was truncated, or its disk failed, after the bytes had been verified:
  // what was made of them is worth nothing.
  absl::Status CheckIntact() const;

 private:
  friend class BulkReader;
  struct Opened;
  IncomingBulk(std::shared_ptr<BulkReader> reader, const BulkReference& reference,
               std::function<void(const BulkRelease&)> release);

  const std::shared_ptr<BulkReader> reader_;
  const BulkReference reference_;
  const std::function<void(const BulkRelease&)> release_;
  std::shared_ptr<Opened> opened_;  // null: copied
  std::unique_ptr<os::File> file_;  // of what is to be copied, once Open() was called
  std::unique_ptr<char[]> copy_;
  absl::string_view bytes_;
};

// Thread-safe. Owned by shared_ptr: messages keep it.
class BulkReader final : public std::enable_shared_from_this<BulkReader> {
 public:
  explicit BulkReader(BulkReaderOptions options);
  ~BulkReader();

  // A message that a frame refers to. `release` is called once, on any thread, when it is not
  // needed any more; must not block.
  std::shared_ptr<IncomingBulk> Take(const BulkReference& reference,
                                     std::function<void(const BulkRelease&)> release);

  // Unmaps what nobody has used for a while. To be called now and then.
  void Housekeep(os::Nanos now) ABSL_LOCKS_EXCLUDED(mu_);

  // Bytes that are mapped.
  uint64_t mapped() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class IncomingBulk;
  using Opened = IncomingBulk::Opened;

  std::string PathOf(uint32_t buffer) const;
  absl::Status Damage(uint32_t buffer, absl::string_view what) const;
  // Opens the file and checks everything about it but its bytes.
  absl::StatusOr<std::unique_ptr<os::File>> OpenChecked(const BulkReference& reference,
                                                        uint64_t* size) const;
  // The buffer's mapping, kept or new, in use until Done().
  absl::StatusOr<std::shared_ptr<Opened>> Map(const BulkReference& reference)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Copy(const BulkReference& reference, const os::File& file, char* to) const;
  // Has the kernel bring the pages of the message.
  void Populate(Opened* opened, const BulkReference& reference) ABSL_LOCKS_EXCLUDED(mu_);
  void Done(std::shared_ptr<Opened> opened) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes out what is too much, or was not used since `before`, the longest unused first.
  std::list<std::shared_ptr<Opened>> Shrink(os::Nanos before) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const BulkReaderOptions options_;
  const log::FrameKey key_;
  const bool maps_;

  mutable absl::Mutex mu_;
  // The last one used first.
  std::list<std::shared_ptr<Opened>> opened_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_BULK_READER_H_
