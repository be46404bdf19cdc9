// The one writer of a log: frames are gathered into a batch, and a batch goes out in one write.
#ifndef SPOOLRPC_LOG_LOG_WRITER_H_
#define SPOOLRPC_LOG_LOG_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/log/frame.h"
#include "spoolrpc/log/log_bytes.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/log/log_head.h"

namespace spoolrpc::log {

// A gathered batch: `bytes` belong at `position` of the ring (and wrap at most once).
struct Batch {
  uint64_t position = 0;
  std::string bytes;
  uint64_t end() const { return position + bytes.size(); }
};

// In two halves, so that frames can be added while an earlier batch is on its way:
// - BeginFrame, EndFrame, TakeBatch, OnConsumed and the readers of state need external locking;
// - Write and WriteHead may run beside them, but not beside each other.
// After a failed write the log is sealed: an uncertain offset is never written again, and every
// later call fails with that first error. (A lease, which has no ring, may be tried again.)
class LogWriter {
 public:
  // `head` describes the file that `file` is; `file` was opened by OpenLogForWriting().
  LogWriter(std::unique_ptr<os::File> file, LogHead head, const FileAccess& access);

  // See LogBytes. Neither runs beside Write().
  void AllowMapping() { bytes_.AllowMapping(); }
  bool UnmapIfIdle() { return bytes_.UnmapIfIdle(); }

  // Most payload that a frame can carry, in bytes.
  size_t max_payload() const { return max_length_ == 0 ? 0 : max_length_ - kFrameHeaderSize; }

  // True if a frame with `payload` bytes fits into what the peer has freed. A data frame (not
  // `control`) leaves the reserve of control frames free. Never true beyond max_payload(), or for a
  // lease file, which has no ring.
  bool HasRoom(size_t payload, bool control) const;

  // Adds a frame to the batch and returns where its payload goes (`payload` bytes, at most
  // max_payload(), to be filled before EndFrame()). HasRoom() must hold.
  char* BeginFrame(size_t payload);
  // Ends the frame that BeginFrame() began.
  void EndFrame(FrameType type, uint8_t flags, uint64_t call, uint64_t consumed);

  bool has_batch() const { return !batch_.bytes.empty(); }
  // Takes what was gathered. The memory of the old `*batch` is used again.
  void TakeBatch(Batch* batch);

  // The peer has taken everything before `position`. Ignored if it is no progress; the caller has
  // checked that it is at most end().
  void OnConsumed(uint64_t position);

  // Where the next frame will be.
  uint64_t end() const { return end_; }
  uint64_t consumed_by_peer() const { return consumed_; }
  // Bytes written and not yet consumed by the peer.
  uint64_t outstanding() const { return end_ - consumed_; }

  // Writes the batch, in writes of at most FileAccess::max_write bytes: visible to a reader of the
  // same host when it returns, to one of another when the file was opened for flushed writes.
  // Blocks as long as the file system does.
  absl::Status Write(const Batch& batch);
  // Writes the head anew with the counter increased: the lease is renewed from the time at which
  // this call began.
  absl::Status WriteHead(WriterState state);

  // Of a lease, which has no ring: what its head says of calls served, from the next WriteHead()
  // on.
  void set_calls_served(uint64_t calls) { head_.flushed = calls; }

  // Everything before it has been flushed. Belongs to Write()'s side.
  uint64_t flushed() const { return head_.flushed; }
  const LogHead& head() const { return head_; }
  const std::string& path() const { return file().path(); }
  const os::File& file() const { return bytes_.file(); }

 private:
  absl::Status Seal(absl::Status status);

  LogBytes bytes_;
  const FrameKey key_;
  const uint64_t capacity_;
  const size_t max_length_;  // 0 without a ring
  const size_t max_write_;

  Batch batch_;
  size_t frame_at_ = 0;      // in batch_.bytes
  size_t frame_length_ = 0;  // of the frame begun
  uint64_t end_ = 0;
  uint64_t consumed_ = 0;       // by the peer, of this log
  uint64_t consumed_sent_ = 0;  // by this side, of the other log, as last told
  uint64_t sequence_ = 1;

  LogHead head_;
  absl::Status sealed_;
};

}  // namespace spoolrpc::log

#endif  // SPOOLRPC_LOG_LOG_WRITER_H_
