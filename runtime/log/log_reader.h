// The one reader of a log. Resumable: what is not there yet may be there at the next look.
#ifndef SPOOLRPC_LOG_LOG_READER_H_
#define SPOOLRPC_LOG_LOG_READER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "spoolrpc/log/frame.h"
#include "spoolrpc/log/log_bytes.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/log/log_head.h"

namespace spoolrpc::log {

// Not thread-safe. Frames point into the buffer of the last Read().
class LogReader {
 public:
  // A buffer of this many bytes holds any frame, however it lies to the blocks of a direct reading.
  static constexpr size_t kBufferSize = kMaxFrameLength + 4096;

  enum class Outcome {
    kFrame,
    kNotYet,
  };

  // Opens `path`, checks that it is a log of `id` and `direction`, a regular file with one link,
  // not shorter than its head says, and owned by `owner`. Errors name the path and what is wrong:
  // FAILED_PRECONDITION, or DATA_LOSS for a head that is damaged, in three readings.
  static absl::StatusOr<std::unique_ptr<LogReader>> Open(os::SystemCalls* calls,
                                                         const std::string& path,
                                                         const std::string& id, Direction direction,
                                                         uint32_t owner, const FileAccess& access,
                                                         AlignedBuffer* buffer);

  // See LogBytes. Only for a log that is not read by O_DIRECT.
  void AllowMapping();
  bool UnmapIfIdle() { return bytes_->UnmapIfIdle(); }

  // Reads what lies at position(): one system call of about `want` bytes (at least one frame
  // header, at most what `buffer` holds and what the ring has left). `buffer` must be left alone
  // until the last Next(). INVALID_ARGUMENT if it is too small for a frame of `want` bytes.
  absl::Status Read(size_t want, AlignedBuffer* buffer);

  // The next frame of what Read() brought, PAD frames skipped. kNotYet: none is complete there;
  // wanted() says how many bytes a further Read() needs to go on from what it brought, 0 if reading
  // again at once would not help. A frame's `consumed` is as the peer wrote it: that it never falls
  // and is never beyond what this side has written is for the caller to check.
  Outcome Next(Frame* frame);
  size_t wanted() const { return wanted_; }

  // The frames before it have been taken: what this side tells its peer as consumed. It is where
  // the last frame ended, and so never beyond what the peer has written.
  uint64_t position() const { return position_; }
  // The position up to which the last Read() read.
  uint64_t read_end() const { return read_end_; }

  // Reads the writer's head as it is now.
  absl::StatusOr<LogHead> ReadHeadNow(AlignedBuffer* buffer) const;

  // Closes and opens the file again; for readers whose peer has flushed more than they can see.
  // The new one passes the checks of Open(), but for its head, which may be torn just now.
  absl::Status Reopen();

  // The writer has flushed up to `flushed`. If that is beyond position() and the frame there is
  // still not valid after reopening and three readings, returns DATA_LOSS with file, offset and
  // reason. `buffer` (kBufferSize bytes) holds the last reading; on OK the caller goes on with
  // Next().
  absl::Status CheckAgainst(uint64_t flushed, AlignedBuffer* buffer);

  const std::string& path() const { return path_; }
  uint64_t capacity() const { return capacity_; }

 private:
  LogReader(os::SystemCalls* calls, std::string path, const LogHead& head, uint32_t owner,
            const FileAccess& access);
  void Take(std::unique_ptr<os::File> file, bool direct);
  // Where the next frame begins: position_, or the ring's start if that is too near to its end.
  uint64_t NextFrameAt() const;
  // Decodes what the last Read() brought from `at`, which is not beyond read_end_.
  DecodeResult DecodeAt(uint64_t at, Frame* frame, size_t* length) const;
  // In words, what stands at position() instead of a frame.
  std::string DescribeDamage() const;

  os::SystemCalls* const calls_;
  const std::string path_;
  const uint32_t owner_;
  const FileAccess access_;
  const FrameKey key_;
  const uint64_t capacity_;
  const size_t max_length_;
  std::unique_ptr<LogBytes> bytes_;
  bool direct_ = false;
  bool may_map_ = false;

  uint64_t position_ = 0;
  uint64_t sequence_ = 1;
  size_t wanted_ = 0;

  // What the last Read() brought: bytes of positions read_begin_ to read_end_.
  const char* read_ = nullptr;
  uint64_t read_begin_ = 0;
  uint64_t read_end_ = 0;
  bool cut_short_ = false;  // it failed, or met the end of the file: reading on will not help
};

}  // namespace spoolrpc::log

#endif  // SPOOLRPC_LOG_LOG_READER_H_
