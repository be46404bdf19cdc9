// Reading and publishing the files of durable calls (docs/format.md, section 8): records that may
// have a body behind them, and names that are linked once.
#ifndef SPOOLRPC_SPOOL_DURABLE_FILES_H_
#define SPOOLRPC_SPOOL_DURABLE_FILES_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// A file that somebody else may have written, open and checked: a regular file of the spool's
// owner, of root, or of this process's own user. Errors name the path: NOT_FOUND; DATA_LOSS for
// whatever else should not be there.
class DurableFile {
 public:
  static absl::StatusOr<DurableFile> Open(const Spool& spool, const std::string& path);

  // The record at the file's beginning, without a body.
  absl::Status ReadRecord(RecordKind kind, google::protobuf::Message* message);
  // The record as the front of the file; then ReadBody() can be called.
  absl::Status ReadFront(RecordKind kind, google::protobuf::Message* message);
  // The body that the record says follows it. RESOURCE_EXHAUSTED if it has more than `limit` bytes.
  absl::Status ReadBody(RecordKind kind, const Body& body, size_t limit, std::string* bytes);

 private:
  DurableFile(std::unique_ptr<os::File> file, uint64_t size)
      : file_(std::move(file)), size_(size) {}
  absl::StatusOr<std::string> Read(uint64_t offset, size_t count) const;

  std::unique_ptr<os::File> file_;
  uint64_t size_;
  uint64_t front_ = 0;
};

// Gives a complete file with `content` the name `directory`/`name`, if nothing has it. True: it is
// there, and is the caller's; false: another's is there. An error means that neither is known:
// NOT_FOUND that `directory` is gone. With `power_loss`, file and name are flushed.
//
// 1. Write the content under a temporary name in `directory`, flush it where that counts.
// 2. link() it to `name`.
// 3. Whatever link() said (a retried NFS request may report failure for its own success), compare
//    the inodes: if `name` is the temporary file, the caller has won.
// 4. Remove the temporary name.
// 5. With `power_loss` flush the directory. (An error here: the name is there, and the caller's.)
// A crash before 2 leaves a temporary file, one after it a second name of the file; both go with
// the directory.
absl::StatusOr<bool> PublishName(const Spool& spool, const std::string& directory,
                                 absl::string_view name, absl::string_view content,
                                 bool power_loss);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_DURABLE_FILES_H_
