#include "spoolrpc/rpc/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc {
namespace rpc {

const char kErrorInfoUrl[] = "type.googleapis.com/spoolrpc.ErrorInfo";
const char kRpcStatusUrl[] = "type.googleapis.com/google.rpc.Status";

absl::Status TransportError(absl::StatusCode code, ErrorInfo::Reason reason,
                            absl::string_view message, bool may_have_executed,
                            absl::string_view method, absl::string_view path) {
  ErrorInfo info;
  info.set_reason(reason);
  info.set_may_have_executed(may_have_executed);
  info.set_method(std::string(method));
  info.set_path(std::string(path));
  absl::Status status(code, method.empty() ? std::string(message)
                                           : absl::StrCat(method, ": ", message));
  status.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

absl::Status TransportErrorFrom(const absl::Status& cause, ErrorInfo::Reason reason,
                                bool may_have_executed, absl::string_view method,
                                absl::string_view path) {
  return TransportError(cause.code(), reason, cause.message(), may_have_executed, method, path);
}

}  // namespace rpc

std::optional<ErrorInfo> GetErrorInfo(const absl::Status& status) {
  if (status.ok()) return std::nullopt;
  const auto payload = status.GetPayload(rpc::kErrorInfoUrl);
  ErrorInfo info;
  if (!payload.has_value() || !info.ParseFromString(std::string(*payload))) return std::nullopt;
  return info;
}

bool IsTransportError(const absl::Status& status) { return GetErrorInfo(status).has_value(); }

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status whole;
  if (const auto payload = status.GetPayload(rpc::kRpcStatusUrl); payload.has_value()) {
    if (!whole.ParseFromString(std::string(*payload))) whole.Clear();
  }
  whole.set_code(static_cast<int>(status.code()));
  whole.set_message(std::string(status.message()));
  return whole;
}

void AddDetail(absl::Status* status, const google::protobuf::Message& detail) {
  if (status->ok()) return;
  google::rpc::Status whole = ToRpcStatus(*status);
  google::protobuf::Any* const any = whole.add_details();
  any->PackFrom(detail);
  status->SetPayload(rpc::kRpcStatusUrl, absl::Cord(whole.SerializeAsString()));
  // Also under its own name, for callers who use absl::Status alone; of several, the first.
  if (any->type_url() != rpc::kErrorInfoUrl && !status->GetPayload(any->type_url()).has_value()) {
    status->SetPayload(any->type_url(), absl::Cord(any->value()));
  }
}

}  // namespace spoolrpc
