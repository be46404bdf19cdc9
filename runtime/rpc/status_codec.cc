#include "spoolrpc/rpc/status_codec.h"

#include <set>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/status.pb.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::rpc {
namespace {

constexpr char kLocalPrefix[] = "spoolrpc/";  // payloads that mean something in one process only

void DropErrorInfo(google::rpc::Status* whole) {
  auto* const details = whole->mutable_details();
  for (int i = details->size() - 1; i >= 0; --i) {
    if (absl::EndsWith(details->Get(i).type_url(), "/spoolrpc.ErrorInfo")) {
      details->DeleteSubrange(i, 1);
    }
  }
}

}  // namespace

void EncodeStatus(const absl::Status& status, wire::ReplyHeader* header) {
  if (status.ok()) return;
  header->set_code(static_cast<int>(status.code()));
  header->set_message(std::string(status.message()));
  google::rpc::Status whole = ToRpcStatus(status);
  std::set<std::string> have;
  for (const auto& any : whole.details()) have.insert(any.type_url());
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    if (url == kRpcStatusUrl || absl::StartsWith(url, kLocalPrefix) ||
        have.count(std::string(url)) > 0) {
      return;
    }
    auto* const any = whole.add_details();
    any->set_type_url(std::string(url));
    any->set_value(std::string(payload));
  });
  DropErrorInfo(&whole);
  whole.clear_message();  // the header has it
  if (whole.details_size() > 0) whole.SerializeToString(header->mutable_details());
}

absl::Status DecodeStatus(const wire::ReplyHeader& header) {
  if (header.code() == 0) return absl::OkStatus();
  absl::StatusCode code = static_cast<absl::StatusCode>(header.code());
  if (header.code() < 0 || header.code() > static_cast<int>(absl::StatusCode::kUnauthenticated)) {
    code = absl::StatusCode::kUnknown;
  }
  absl::Status status(code, header.message());
  google::rpc::Status whole;
  if (header.details().empty() || !whole.ParseFromString(header.details())) return status;
  DropErrorInfo(&whole);
  if (whole.details_size() == 0) return status;
  whole.set_code(static_cast<int>(code));
  whole.set_message(ToUtf8(header.message()));
  status.SetPayload(kRpcStatusUrl, absl::Cord(whole.SerializeAsString()));
  for (const auto& any : whole.details()) {
    if (any.type_url() != kRpcStatusUrl && !absl::StartsWith(any.type_url(), kLocalPrefix) &&
        !status.GetPayload(any.type_url()).has_value()) {
      status.SetPayload(any.type_url(), absl::Cord(any.value()));
    }
  }
  return status;
}

}  // namespace spoolrpc::rpc
