// What statuses say beside code and message: typed details of applications, and why the
// infrastructure ended a call.
#ifndef SPOOLRPC_RPC_ERROR_H_
#define SPOOLRPC_RPC_ERROR_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "google/rpc/status.pb.h"
#include "spoolrpc/errors.pb.h"

namespace spoolrpc {

// True if SpoolRPC's own runtime in this process ended the call, not the remote handler: a peer
// cannot forge it.
bool IsTransportError(const absl::Status& status);

// Why the infrastructure ended the call; none if the handler did.
std::optional<ErrorInfo> GetErrorInfo(const absl::Status& status);

// Adds a typed detail to `*status`, which must not be OK. Details are kept in order and may repeat.
void AddDetail(absl::Status* status, const google::protobuf::Message& detail);

// The google.rpc.Status that `status` carries whole, with code and message filled in.
google::rpc::Status ToRpcStatus(const absl::Status& status);

// All details of type T, in order.
template <class T>
std::vector<T> GetDetails(const absl::Status& status) {
  std::vector<T> details;
  const google::rpc::Status whole = ToRpcStatus(status);
  for (const auto& any : whole.details()) {
    T detail;
    if (any.UnpackTo(&detail)) details.push_back(std::move(detail));
  }
  return details;
}

namespace rpc {

// For the runtime alone: a status with an ErrorInfo.
absl::Status TransportError(absl::StatusCode code, ErrorInfo::Reason reason,
                            absl::string_view message, bool may_have_executed,
                            absl::string_view method = "", absl::string_view path = "");
// The same with what `cause` says as its message, and its details.
absl::Status TransportErrorFrom(const absl::Status& cause, ErrorInfo::Reason reason,
                                bool may_have_executed, absl::string_view method = "",
                                absl::string_view path = "");

// Adds a google.rpc.RetryInfo: when to try again. (Written by hand, so that a program may bring its
// own copy of google/rpc/error_details.proto.)
void AddRetryInfo(absl::Status* status, absl::Duration delay);

// The call may have been executed, whatever its last attempt says: an earlier one may have been.
void MarkMayHaveExecuted(absl::Status* status);

// `text` with every byte that is not part of valid UTF-8 replaced by '?': protobuf's strings take
// nothing else, while statuses and paths hold any bytes.
std::string ToUtf8(absl::string_view text);

// The payload URLs of absl::Status under which the two are kept.
extern const char kErrorInfoUrl[];
extern const char kRpcStatusUrl[];

}  // namespace rpc
}  // namespace spoolrpc

#endif  // SPOOLRPC_RPC_ERROR_H_
