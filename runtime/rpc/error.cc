#include "spoolrpc/rpc/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/duration.pb.h"

namespace spoolrpc {
namespace rpc {

const char kErrorInfoUrl[] = "type.googleapis.com/spoolrpc.ErrorInfo";
const char kRpcStatusUrl[] = "type.googleapis.com/google.rpc.Status";

std::string ToUtf8(absl::string_view text) {
  std::string valid(text);
  for (size_t i = 0; i < text.size();) {
    const unsigned char first = text[i];
    const size_t length = first < 0x80   ? 1
                          : first < 0xc2 ? 0
                          : first < 0xe0 ? 2
                          : first < 0xf0 ? 3
                          : first < 0xf5 ? 4
                                         : 0;
    bool good = length > 0 && i + length <= text.size();
    for (size_t j = 1; good && j < length; ++j) {
      good = (static_cast<unsigned char>(text[i + j]) & 0xc0) == 0x80;
    }
    if (good && length > 2) {
      // Overlong forms, surrogates, and what lies beyond the last code point.
      const unsigned char second = text[i + 1];
      good = !(first == 0xe0 && second < 0xa0) && !(first == 0xed && second > 0x9f) &&
             !(first == 0xf0 && second < 0x90) && !(first == 0xf4 && second > 0x8f);
    }
    if (!good) valid[i] = '?';
    i += good ? length : 1;
  }
  return valid;
}

absl::Status TransportError(absl::StatusCode code, ErrorInfo::Reason reason,
                            absl::string_view message, bool may_have_executed,
                            absl::string_view method, absl::string_view path) {
  ErrorInfo info;
  info.set_reason(reason);
  info.set_may_have_executed(may_have_executed);
  info.set_method(ToUtf8(method));
  info.set_path(ToUtf8(path));
  absl::Status status(code,
                      method.empty() ? std::string(message) : absl::StrCat(method, ": ", message));
  status.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

absl::Status TransportErrorFrom(const absl::Status& cause, ErrorInfo::Reason reason,
                                bool may_have_executed, absl::string_view method,
                                absl::string_view path) {
  absl::Status status =
      TransportError(cause.code(), reason, cause.message(), may_have_executed, method, path);
  cause.ForEachPayload([&status](absl::string_view url, const absl::Cord& payload) {
    if (url != kErrorInfoUrl) status.SetPayload(url, payload);
  });
  return status;
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
  whole.set_message(rpc::ToUtf8(status.message()));
  return whole;
}

namespace {

void AddAny(absl::Status* status, const google::protobuf::Any& any) {
  if (status->ok()) return;
  google::rpc::Status whole = ToRpcStatus(*status);
  *whole.add_details() = any;
  status->SetPayload(rpc::kRpcStatusUrl, absl::Cord(whole.SerializeAsString()));
  // Also under its own name, for callers who use absl::Status alone; of several, the first.
  if (any.type_url() != rpc::kErrorInfoUrl && !status->GetPayload(any.type_url()).has_value()) {
    status->SetPayload(any.type_url(), absl::Cord(any.value()));
  }
}

}  // namespace

void AddDetail(absl::Status* status, const google::protobuf::Message& detail) {
  google::protobuf::Any any;
  any.PackFrom(detail);
  AddAny(status, any);
}

void rpc::MarkMayHaveExecuted(absl::Status* status) {
  auto info = GetErrorInfo(*status);
  if (!info.has_value() || info->may_have_executed()) return;
  info->set_may_have_executed(true);
  // NO_SERVER says that the call certainly was not executed.
  if (info->reason() == ErrorInfo::NO_SERVER) info->set_reason(ErrorInfo::ACK_TIMEOUT);
  status->SetPayload(kErrorInfoUrl, absl::Cord(info->SerializeAsString()));
}

void rpc::AddRetryInfo(absl::Status* status, absl::Duration delay) {
  google::protobuf::Duration proto;
  const timespec time = absl::ToTimespec(delay);
  proto.set_seconds(time.tv_sec);
  proto.set_nanos(static_cast<int32_t>(time.tv_nsec));
  const std::string bytes = proto.SerializeAsString();
  google::protobuf::Any any;
  any.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  // Field 1, the delay; no Duration has more than 127 bytes.
  any.set_value(std::string("\x0a", 1) + static_cast<char>(bytes.size()) + bytes);
  AddAny(status, any);
}

}  // namespace spoolrpc
