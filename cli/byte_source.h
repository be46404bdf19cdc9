// The bytes that a dump looks at: a file's, however large, or a string's.
#ifndef SPOOLRPC_CLI_BYTE_SOURCE_H_
#define SPOOLRPC_CLI_BYTE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::cli {

// Not thread-safe.
class ByteSource {
 public:
  // The longest view that At() gives.
  static constexpr size_t kMaxView = size_t{1} << 20;

  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  // `length` bytes (at most kMaxView) from `offset`; fewer where the source ends, or after an
  // error. Valid until the next call.
  virtual absl::string_view At(uint64_t offset, size_t length) = 0;
  // Forgets what has been read, so that At() sees what is there now. False: it cannot change.
  virtual bool Reload() = 0;
  // The first error met in reading.
  virtual absl::Status error() const { return absl::OkStatus(); }
};

class StringSource final : public ByteSource {
 public:
  // `bytes` must outlive it.
  explicit StringSource(absl::string_view bytes) : bytes_(bytes) {}

  uint64_t size() const override { return bytes_.size(); }
  absl::string_view At(uint64_t offset, size_t length) override;
  bool Reload() override { return false; }

 private:
  const absl::string_view bytes_;
};

// Reads in windows of some MiB, so that memory is bounded and a log of the usual size is seen as it
// was at one moment. Blocks as the file system does.
class FileSource final : public ByteSource {
 public:
  // Opens a regular file in the way that its file system wants for files that others write just
  // now. FAILED_PRECONDITION if it is not a regular one; nothing else is ever opened for reading.
  static absl::StatusOr<std::unique_ptr<FileSource>> Open(os::SystemCalls* calls,
                                                          const std::string& path);

  uint64_t size() const override { return size_; }
  absl::string_view At(uint64_t offset, size_t length) override;
  bool Reload() override;
  absl::Status error() const override { return error_; }

 private:
  FileSource(std::unique_ptr<os::File> file, uint64_t size);
  void Fill(uint64_t offset);

  const std::unique_ptr<os::File> file_;
  const uint64_t size_;
  uint64_t readable_;  // the end of what can be had, at most size_
  log::AlignedBuffer window_;
  uint64_t begin_ = 0;  // of the window, in the file
  size_t filled_ = 0;
  absl::Status error_;
};

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_BYTE_SOURCE_H_
