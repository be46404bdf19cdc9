// A log file's bytes, as one side reads or writes them: by system calls, or through a mapping,
// which costs a copy of the bytes and nothing else.
#ifndef SPOOLRPC_LOG_LOG_BYTES_H_
#define SPOOLRPC_LOG_LOG_BYTES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::log {

// Both ways show the same bytes: what one process writes through a mapping another's pread()
// brings, on one host and a local file system. Not thread-safe.
class LogBytes {
 public:
  enum class Use { kReading, kWriting };

  // Nothing beyond `size` is ever mapped. A file that is written must be open for reading too if
  // it shall be mapped.
  LogBytes(std::unique_ptr<os::File> file, uint64_t size, Use use);

  // The file is on a local file system and belongs to this process's user, and its other side is
  // on this host: from the 64th access on it may be mapped. Where the kernel refuses it is not.
  void AllowMapping() { may_map_ = true; }

  // As of os::File. Through a mapping neither blocks, but for a page that is touched for the first
  // time. A file that was truncated, or whose disk failed, is not mapped any more: then they do,
  // and say, what the system calls do.
  absl::StatusOr<size_t> ReadAt(uint64_t offset, char* buffer, size_t count);
  absl::Status WriteAt(uint64_t offset, absl::string_view data);

  // Unmaps it if it was hardly accessed since the last time that this was called. True: it is
  // mapped all the same, or may be soon.
  bool UnmapIfIdle();

  const os::File& file() const { return *file_; }
  bool mapped() const { return mapping_ != nullptr; }

 private:
  // Where `count` bytes at `offset` are mapped; null: they are not.
  char* Mapped(uint64_t offset, size_t count);
  void Map();
  // After an access: false if what was copied is not the file's.
  bool Intact();

  const std::unique_ptr<os::File> file_;
  const uint64_t size_;
  const Use use_;
  bool may_map_ = false;
  uint64_t accesses_ = 0;  // since the last UnmapIfIdle()
  std::unique_ptr<os::Mapping> mapping_;
};

}  // namespace spoolrpc::log

#endif  // SPOOLRPC_LOG_LOG_BYTES_H_
