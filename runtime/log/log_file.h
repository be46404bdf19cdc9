// Making log files, and opening them in the way that their file system wants.
#ifndef SPOOLRPC_LOG_LOG_FILE_H_
#define SPOOLRPC_LOG_LOG_FILE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "spoolrpc/log/log_head.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::log {

// How this side reads and writes live files. Chosen once per spool and process from the file
// system.
struct FileAccess {
  // Read through held O_DIRECT descriptors, in aligned blocks.
  bool direct_reads = false;
  // A write counts only once it is on the file system's server (O_DSYNC).
  bool flushed_writes = false;
  // The longest single write, in bytes.
  size_t max_write = 65536;
};

// Creates `path`, writes `head` and a ring of zeros (or for a lease, kLeaseFileSize bytes), and
// flushes it if `access` says so. The file is not yet anybody's: publish it by a rename. After an
// error a part of it may be left under that name. INVALID_ARGUMENT for a head that no reader would
// accept: an id that has not 16 bytes, or a capacity out of bounds.
absl::Status CreateLogFile(os::SystemCalls* calls, const std::string& path, const LogHead& head,
                           const FileAccess& access, uint32_t mode);

absl::StatusOr<std::unique_ptr<os::File>> OpenLogForWriting(os::SystemCalls* calls,
                                                            const std::string& path,
                                                            const FileAccess& access);

// Falls back to plain reading where the file system refuses O_DIRECT; `*direct` says which it is.
absl::StatusOr<std::unique_ptr<os::File>> OpenLogForReading(os::SystemCalls* calls,
                                                            const std::string& path,
                                                            const FileAccess& access, bool* direct);

// A buffer that O_DIRECT accepts. Not thread-safe; meant to be one per thread.
class AlignedBuffer {
 public:
  // `size` is rounded up to a multiple of 4096.
  explicit AlignedBuffer(size_t size);
  ~AlignedBuffer();
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  char* data() { return data_; }
  size_t size() const { return size_; }

 private:
  char* data_;
  size_t size_;
};

// Reads and decodes the head of an open log. `direct` as OpenLogForReading() said.
absl::StatusOr<LogHead> ReadHead(const os::File& file, bool direct, AlignedBuffer* buffer);

}  // namespace spoolrpc::log

#endif  // SPOOLRPC_LOG_LOG_FILE_H_
