// Reading and publishing the files of durable calls (docs/format.md, section 8): records that may
// have a body behind them, and names that are linked once.
#ifndef SPOOLRPC_SPOOL_DURABLE_FILES_H_
#define SPOOLRPC_SPOOL_DURABLE_FILES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// Whose a file may be, in a group's spool. In an owner's it is its owner's, root's, or this
// process's own user's.
struct DurableWriters {
  std::optional<uint32_t> caller;  // he, to whom the call's directory belongs
  bool servers = true;             // and those who may serve the spool
};

// A file that somebody else may have written, open and checked: a regular file of one of those, and
// with one link if only the caller may write it. Errors name the path: NOT_FOUND; DATA_LOSS for
// whatever else should not be there.
class DurableFile {
 public:
  static absl::StatusOr<DurableFile> Open(const Spool& spool, const std::string& path,
                                          const DurableWriters& writers);

  // Whose it is, and its group.
  uint32_t uid() const { return uid_; }
  uint32_t gid() const { return gid_; }

  // The record at the file's beginning, without a body.
  absl::Status ReadRecord(RecordKind kind, google::protobuf::Message* message);
  // The record as the front of the file; then ReadBody() can be called.
  absl::Status ReadFront(RecordKind kind, google::protobuf::Message* message);
  // The body that the record says follows it. RESOURCE_EXHAUSTED if it has more than `limit` bytes.
  absl::Status ReadBody(RecordKind kind, const Body& body, size_t limit, std::string* bytes);

 private:
  DurableFile(std::unique_ptr<os::File> file, const os::FileInfo& info)
      : file_(std::move(file)), size_(info.size), uid_(info.uid), gid_(info.gid) {}
  absl::StatusOr<std::string> Read(uint64_t offset, size_t count) const;

  std::unique_ptr<os::File> file_;
  uint64_t size_;
  uint32_t uid_;
  uint32_t gid_;
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
