// A session's two logs as one framed two-way pipe, with the leases of both sides.
#ifndef SPOOLRPC_LINK_SESSION_LINK_H_
#define SPOOLRPC_LINK_SESSION_LINK_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/link/bulk_pool.h"
#include "spoolrpc/link/bulk_reader.h"
#include "spoolrpc/link/outgoing.h"
#include "spoolrpc/log/log_reader.h"
#include "spoolrpc/log/log_writer.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/spool/lease.h"
#include "spoolrpc/wait/doorbell.h"
#include "spoolrpc/wait/poll_schedule.h"

namespace spoolrpc::link {

class SessionLink;

// Runs a link's writes on a thread of its own (network file systems, where a write may block for
// as long as the file server likes).
class Flusher {
 public:
  virtual ~Flusher() = default;
  // Soon calls link->WriteOut() on another thread. Thread-safe; does not block.
  virtual void Schedule(std::shared_ptr<SessionLink> link) = 0;
};

// What a look at the peer's log brought.
struct PollResult {
  enum class End {
    kNone,          // the session goes on
    kPeerClosed,    // the peer's head says closed, and its log has been read to the end
    kLeaseExpired,  // the peer was silent for its term, and its log has been read to the end
    kCorrupt,       // DATA_LOSS
    kFailed,        // a file operation failed, or the peer broke the protocol
  };
  int frames = 0;
  End end = End::kNone;
  absl::Status status;  // says why, unless kNone
};

struct LinkOptions {
  os::Environment env;
  // Writes go through `flusher`; null: they are made by whoever sends.
  Flusher* flusher = nullptr;
  // Called after each write, when writing has failed, and when there was no room to write; on the
  // thread that wrote, without a lock. Null: nobody wants to know.
  std::function<void()> on_written;
  std::unique_ptr<log::LogWriter> writer;
  std::unique_ptr<log::LogReader> reader;
  // This side's doorbell and the peer's slot in it; the peer's doorbell and this side's slot. Null
  // where there is none. The own one must outlive the link.
  wait::Doorbell* own_bell = nullptr;
  uint32_t own_slot = 0;
  std::shared_ptr<wait::Doorbell> peer_bell;
  uint32_t peer_slot = 0;
  os::Nanos own_term = 0;
  os::Nanos peer_term = 0;
  // The bulk buffers that this side writes, and the peer's. Null: all messages go in frames.
  std::shared_ptr<BulkPool> bulk_out;
  std::shared_ptr<BulkReader> bulk_in;
};

// Sending is thread-safe. Polling is for one thread at a time: whoever has TryBeginPoll(). Sending
// never waits for room (what does not fit is kept in memory), and polling never waits for sending.
class SessionLink : public std::enable_shared_from_this<SessionLink> {
 public:
  explicit SessionLink(LinkOptions options);
  ~SessionLink();

  // --- Sending. Nothing goes out before Flush().

  // The largest header and message, together, that go out as one frame.
  size_t max_single() const { return max_single_; }
  // Adds a frame with a header (null: the type has none) and a message (null: none). `size` is
  // message->ByteSizeLong(), computed just before. Returns the log position from which on its first
  // frame lies. What is sent of one call keeps its order.
  uint64_t SendMessage(log::FrameType type, uint8_t flags, uint64_t call,
                       const google::protobuf::MessageLite* header,
                       const google::protobuf::MessageLite* message, size_t size)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The same with the message's bytes.
  uint64_t SendBytes(log::FrameType type, uint8_t flags, uint64_t call,
                     const google::protobuf::MessageLite* header, absl::string_view message)
      ABSL_LOCKS_EXCLUDED(mu_);
  void SendControl(log::FrameType type, uint8_t flags, uint64_t call, std::string payload = "")
      ABSL_LOCKS_EXCLUDED(mu_);
  // --- Messages in bulk buffers (session_link_bulk.cc). Preparing takes as long as a copy of the
  // message; no lock of the caller's should wait for it.

  // Serializes a large message into a bulk buffer. `size` is message.ByteSizeLong(), computed just
  // before. Null: the message goes in frames, by SendMessage() or SendBytes().
  std::unique_ptr<BulkLoan> PrepareBulk(const google::protobuf::MessageLite& message, size_t size);
  std::unique_ptr<BulkLoan> PrepareBulk(absl::string_view bytes);
  // As SendMessage(), of a message that was prepared.
  uint64_t SendBulk(log::FrameType type, uint8_t flags, uint64_t call,
                    const google::protobuf::MessageLite* header, std::unique_ptr<BulkLoan> loan)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Memory of a bulk buffer for a message of `size` bytes; null: there is none, or it is too small
  // for one.
  std::shared_ptr<BulkBlock> TakeBlock(size_t size);
  // The message that a frame with the flag BULK refers to: what its payload has where the message
  // would be. DATA_LOSS if that is no reference. For the thread that polls.
  absl::StatusOr<std::shared_ptr<IncomingBulk>> TakeBulk(absl::string_view reference);
  // To be called now and then: lets go of what nobody has used for a while. False: there is nothing
  // to let go of any more, until the link is used. Blocks as a local file system does.
  bool Housekeep(os::Nanos now) ABSL_LOCKS_EXCLUDED(mu_);
  // The same of the log that is read, by whoever has TryBeginPoll().
  bool HousekeepReading() { return reader_->UnmapIfIdle(); }
  // How many messages lie in buffers that the peer has not released.
  size_t bulk_lent() const { return bulk_out_ == nullptr ? 0 : bulk_out_->count().lent; }
  // Null: all messages go in frames.
  const BulkPool* bulk_pool() const { return bulk_out_.get(); }

  // Drops what of the call has not been written. True: that was all of it, from its CALL on.
  bool TakeBack(uint64_t call) ABSL_LOCKS_EXCLUDED(mu_);

  // Writes out what was sent, together with what others have sent: on this thread, or where there
  // is a Flusher on its. An error is final, and is what every later call returns.
  absl::Status Flush() ABSL_LOCKS_EXCLUDED(mu_);
  // Flush(), and waits until all control frames that were sent so far, and the messages that found
  // room, are flushed; for at most `timeout`.
  absl::Status FlushAndWait(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);
  // The same, and then what the peer knows of it beside the frames themselves: should they be lost,
  // it finds that out. The doorbell has rung for them, or the mark in the head covers them.
  absl::Status FlushMarkedAndWait(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);
  // Renews the own lease: the head is written with the next flush, which this starts.
  absl::Status Renew(log::WriterState state) ABSL_LOCKS_EXCLUDED(mu_);
  // The same, and waits for it.
  absl::Status RenewAndWait(log::WriterState state, absl::Duration timeout)
      ABSL_LOCKS_EXCLUDED(mu_);
  // From here on the own lease is not renewed; false if a renewal is under way just now. For who is
  // about to decide that the session is over: after its last reading began, the peer must not see
  // this side's lease move.
  bool SuspendRenewals() ABSL_LOCKS_EXCLUDED(mu_);
  void ResumeRenewals() ABSL_LOCKS_EXCLUDED(mu_);
  // For the Flusher: writes until nothing is left.
  void WriteOut() ABSL_LOCKS_EXCLUDED(mu_);

  // See spool::OwnLease.
  spool::OwnLease own_lease() const ABSL_LOCKS_EXCLUDED(mu_);
  // spool::OwnLease::OnUnwatched().
  void OnLeaseUnwatched(os::Nanos now) ABSL_LOCKS_EXCLUDED(mu_);
  // spool::OwnLease::Restart(), and begins the renewal.
  void RestartLease() ABSL_LOCKS_EXCLUDED(mu_);
  // The peer's head is read anew, from the file opened anew where it is on a network file system.
  // For the thread that polls.
  absl::StatusOr<log::LogHead> ReadHeadAnew(log::AlignedBuffer* buffer);
  // OK while the link can be written to.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mu_);
  // True if messages wait for room.
  bool backlogged() const ABSL_LOCKS_EXCLUDED(mu_);
  // About what all that waits for room takes in memory, in bytes.
  uint64_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

  // --- Polling.

  // Makes the caller the one who polls; false: somebody else is. Sequentially consistent: of one
  // who leaves a note and then fails to begin, and one who ends and then looks for a note, the
  // latter sees the note.
  bool TryBeginPoll() { return !polling_.exchange(true, std::memory_order_seq_cst); }
  void EndPoll() { polling_.store(false, std::memory_order_seq_cst); }
  // Takes all frames that are there and gives them to `on_frame`, which may send; a status that is
  // not OK ends the session as a breach of protocol. With `force` reads the file even if the
  // doorbell says that nothing came. Also reads the peer's lease when it is time.
  PollResult Poll(bool force, log::AlignedBuffer* buffer,
                  absl::FunctionRef<absl::Status(const log::Frame&)> on_frame)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The same when the peer is known to have ended, until nothing more comes; then compares with
  // what the peer said that it had written: the mark in its head, read anew, and the doorbell.
  // kNone: all of it was taken. kCorrupt, kFailed: what was written last nobody learns. Renewals
  // are to be suspended.
  PollResult PollToEnd(log::AlignedBuffer* buffer,
                       absl::FunctionRef<absl::Status(const log::Frame&)> on_frame)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The peer's lease matters from when all that was sent before `position` has been flushed, so
  // that the peer can know that it is watched. What was counted for an earlier watch is forgotten,
  // also if nobody has polled in between.
  void WatchPeer(uint64_t position) {
    watch_from_.store(position, std::memory_order_relaxed);
    watches_.fetch_add(1, std::memory_order_acq_rel);
    watch_peer_.store(true, std::memory_order_release);
  }
  // It does not matter any more.
  void UnwatchPeer() { watch_peer_.store(false, std::memory_order_release); }
  // How often WatchPeer() was called. For any thread.
  uint64_t watches() const { return watches_.load(std::memory_order_acquire); }
  // Of these the one whose silence the last Poll() counted: kLeaseExpired says nothing about what
  // was sent for a later one. For the thread that polls.
  uint64_t watched() const { return watched_; }
  // The peer's lease counter at the last reading; 0: never read. For the thread that polls.
  uint64_t peer_counter() const { return peer_counter_; }
  // Makes the next Poll() read the peer's head.
  void ReadHeadNext() { read_head_next_ = true; }
  // When the last Poll() began: what came earlier was taken by it. For any thread.
  os::Nanos last_look() const { return last_look_.load(std::memory_order_relaxed); }
  // When the last one began that read the log, and did not only ask the doorbell. For any thread.
  os::Nanos last_reading() const { return last_reading_.load(std::memory_order_relaxed); }
  // When the peer's lease is to be read next; kNever if nobody watches it. For the thread that
  // polls.
  os::Nanos next_head_reading() const;
  // The frames of the peer's log before this position have been taken. For any thread.
  uint64_t consumed() const { return consumed_.load(std::memory_order_relaxed); }
  // True if the doorbell says that there is something to read (or there is no trusted doorbell).
  bool MayHaveNews() const;
  // Both directions wake without polling.
  bool bells_trusted() const;

  const std::string& read_path() const { return reader_->path(); }
  const std::string& write_path() const { return write_path_; }

 private:
  // After each change of queue_.
  void NoteWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    waiting_.store(queue_.memory(), std::memory_order_relaxed);
  }
  bool own_bell_trusted() const;
  // Writes the message into the batch if there is room, and nothing is waiting.
  template <typename PutMessage>
  bool SendNow(log::FrameType type, uint8_t flags, uint64_t call,
               const google::protobuf::MessageLite* header, size_t header_size, size_t size,
               PutMessage put_message, uint64_t* position) ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t SendLater(log::FrameType type, uint8_t flags, uint64_t call,
                     const google::protobuf::MessageLite* header, std::string message)
      ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t SendLater(Outgoing outgoing, const google::protobuf::MessageLite* header,
                     std::string message) ABSL_LOCKS_EXCLUDED(mu_);
  void Ring(uint64_t position);
  absl::Status CheckNames();
  absl::Status FlushAndWait(absl::Duration timeout, bool mark) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status WaitWritten(uint64_t position, uint64_t renewals, absl::Duration timeout);
  // Takes what the last Read() brought.
  absl::Status TakeAll(bool trusted, log::AlignedBuffer* buffer, PollResult* result,
                       absl::FunctionRef<absl::Status(const log::Frame&)> on_frame)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The peer's lease seems to have expired: true if a last reading of head and log says so too.
  bool ConfirmExpiry(log::AlignedBuffer* buffer, PollResult* result,
                     absl::FunctionRef<absl::Status(const log::Frame&)> on_frame)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The peer says that it has written up to `mark`, and the last reading found nothing at
  // position(): reads again, and takes or judges what is there. `last`: nothing else will come.
  void TakeUpTo(uint64_t mark, bool last, log::AlignedBuffer* buffer, PollResult* result,
                absl::FunctionRef<absl::Status(const log::Frame&)> on_frame)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status TakeFrames(PollResult* result,
                          absl::FunctionRef<absl::Status(const log::Frame&)> on_frame)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Reads the peer's head if it is time; sets *flushed to its mark.
  bool ReadPeerHead(log::AlignedBuffer* buffer, uint64_t* flushed, bool* closed);
  void AfterFrames(uint64_t peer_consumed) ABSL_LOCKS_EXCLUDED(mu_);

  const os::Environment env_;
  Flusher* const flusher_;
  const std::function<void()> on_written_;
  wait::Doorbell* const own_bell_;
  const uint32_t own_slot_;
  const std::shared_ptr<wait::Doorbell> peer_bell_;
  const uint32_t peer_slot_;
  const size_t max_single_;
  const std::string write_path_;
  const std::shared_ptr<BulkPool> bulk_out_;
  const std::shared_ptr<BulkReader> bulk_in_;

  mutable absl::Mutex mu_;
  absl::CondVar written_;
  // Write() and WriteHead() belong to whoever set writing_, without the lock.
  const std::unique_ptr<log::LogWriter> writer_;
  OutgoingQueue queue_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t written_to_ ABSL_GUARDED_BY(mu_) = 0;
  // Frames that were sent since the last write began, and that had been when it did.
  int unwritten_ ABSL_GUARDED_BY(mu_) = 0;
  int written_together_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t renewals_asked_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t renewals_done_ ABSL_GUARDED_BY(mu_) = 0;
  bool renewals_suspended_ ABSL_GUARDED_BY(mu_) = false;
  bool renewing_ ABSL_GUARDED_BY(mu_) = false;
  int waiters_ ABSL_GUARDED_BY(mu_) = 0;
  // What the peer knows of consumed_ from frames of ours.
  uint64_t consumed_told_ ABSL_GUARDED_BY(mu_) = 0;
  log::WriterState state_ ABSL_GUARDED_BY(mu_) = log::WriterState::kOpen;
  spool::OwnLease own_lease_ ABSL_GUARDED_BY(mu_);
  absl::Status broken_ ABSL_GUARDED_BY(mu_);
  log::Batch batch_;  // belongs to the writer, as writer_ does

  // Reading: belongs to whoever has TryBeginPoll().
  std::atomic<bool> polling_{false};
  const std::unique_ptr<log::LogReader> reader_;
  spool::LeaseObserver observer_;
  std::atomic<bool> watch_peer_{false};
  std::atomic<uint64_t> watch_from_{0};
  std::atomic<uint64_t> watches_{0};
  uint64_t watched_ = 0;
  bool read_head_next_ = false;
  uint64_t peer_counter_ = 0;
  uint64_t peer_consumed_ = 0;
  // Read by senders, written by whoever polls.
  std::atomic<uint64_t> waiting_{0};  // queue_.memory()
  std::atomic<uint64_t> consumed_{0};
  std::atomic<os::Nanos> last_look_{0};
  std::atomic<os::Nanos> last_reading_{0};
};

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_SESSION_LINK_H_
