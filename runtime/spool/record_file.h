// Records: small immutable files around a protobuf message (docs/format.md, section 2).
#ifndef SPOOLRPC_SPOOL_RECORD_FILE_H_
#define SPOOLRPC_SPOOL_RECORD_FILE_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool.pb.h"

namespace spoolrpc::spool {

enum class RecordKind : uint16_t {
  kSpool = 1,
  kServer = 2,
  kSession = 3,
  kVerdict = 4,
  kDurableCall = 5,
  kDurableClaim = 6,
  kDurableStarted = 7,
  kDurableReply = 8,
  kRetention = 9,
  kStop = 10,
  kExclusive = 11,
};

constexpr size_t kRecordHeaderSize = 24;
constexpr size_t kMaxRecordSize = 1 << 20;  // of the message, in bytes

std::string EncodeRecord(RecordKind kind, const google::protobuf::Message& message);

// FAILED_PRECONDITION for another format version; DATA_LOSS for whatever else is wrong, such as a
// server's record that has a service or a method twice.
absl::Status DecodeRecord(absl::string_view bytes, RecordKind kind,
                          google::protobuf::Message* message);
// The same of a record with a body behind it, as far as it is there: `*rest` is what follows the
// message.
absl::Status DecodeRecordFront(absl::string_view bytes, RecordKind kind,
                               google::protobuf::Message* message, absl::string_view* rest);

// What the message of a record says of the body that follows it.
Body DescribeBody(RecordKind kind, absl::string_view body);
// DATA_LOSS if `bytes` are not the whole body that `body` describes.
absl::Status CheckBody(RecordKind kind, const Body& body, absl::string_view bytes);

// The kind that the header claims, for tools.
absl::StatusOr<RecordKind> PeekRecordKind(absl::string_view bytes);

// DecodeRecord() of a whole file; errors name the path.
absl::Status ReadRecord(os::SystemCalls* calls, const std::string& path, RecordKind kind,
                        google::protobuf::Message* message);

// The same of a file that another user may have put there: it must be a regular one, and `check` is
// asked about what was opened. Its error is returned as it is.
absl::Status ReadRecordIf(os::SystemCalls* calls, const std::string& path, RecordKind kind,
                          absl::FunctionRef<absl::Status(const os::FileInfo&)> check,
                          google::protobuf::Message* message);
// With this check: it has one link and belongs to `owner`. PERMISSION_DENIED if not.
absl::Status ReadRecordOf(os::SystemCalls* calls, const std::string& path, RecordKind kind,
                          uint32_t owner, google::protobuf::Message* message);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_RECORD_FILE_H_
