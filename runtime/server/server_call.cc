#include "spoolrpc/server/server_call.h"

#include <cxxabi.h>
#include <stdlib.h>

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::server {
namespace {

std::string TypeName(const std::type_info* type) {
  if (type == nullptr) return "unknown";
  int status = 0;
  char* const name = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string result = status == 0 && name != nullptr ? name : type->name();
  free(name);
  return result;
}

absl::Status FromException(const std::string& method, const std::string& type,
                           const std::string& text) {
  absl::Status status = absl::UnknownError(
      absl::StrCat(method, ": the handler threw ", type, text.empty() ? "" : ": ", text));
  ExceptionInfo info;
  info.set_type(type);
  info.set_text(rpc::ToUtf8(text));
  AddDetail(&status, info);
  return status;
}

}  // namespace

ServerCall::ServerCall(std::shared_ptr<ServerSession> session, uint64_t id, MethodEntry* method,
                       const wire::CallHeader& header, const std::string& peer, os::Nanos arrived)
    : session_(std::move(session)), id_(id), method_(method), arrived_(arrived) {
  if (header.has_timeout_ns()) {
    const uint64_t timeout = std::min<uint64_t>(header.timeout_ns(), os::kNever / 2);
    deadline_ = os::After(arrived, absl::Nanoseconds(timeout));
    context_.deadline_ = absl::Now() + absl::Nanoseconds(timeout);
  }
  context_.method_ = method->info().full_name;
  context_.peer_ = peer;
  if (header.metadata_size() > 0)
    context_.client_metadata_ = rpc::DecodeMetadata(header.metadata());
}

absl::Status ServerCall::ParseRequest(absl::string_view bytes) {
  request_ = method_->handler().NewRequest();
  return rpc::ParseMessage(bytes, method_->info().full_name, request_.get());
}

void ServerCall::RunHandler() {
  reply_ = method_->handler().NewReply();
  try {
    status_ = method_->handler().Run(&context_, request_.get(), reply_.get(), nullptr);
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread is being cancelled
  } catch (const std::exception& e) {
    status_ = FromException(context_.method_, TypeName(&typeid(e)), e.what());
  } catch (...) {
    status_ = FromException(context_.method_, TypeName(abi::__cxa_current_exception_type()), "");
  }
  request_.reset();
  if (!context_.initial_metadata_.empty() || !context_.trailing_metadata_.empty()) {
    absl::Status checked = rpc::CheckMetadata(context_.initial_metadata_);
    checked.Update(rpc::CheckMetadata(context_.trailing_metadata_));
    if (!checked.ok()) {
      context_.initial_metadata_.clear();
      context_.trailing_metadata_.clear();
      status_ = absl::InternalError(
          absl::StrCat(context_.method_, ": the handler set bad metadata: ", checked.message()));
    }
  }
  if (!status_.ok()) return;
  if (absl::Status s =
          rpc::CheckSerializable(*reply_, absl::StrCat(context_.method_, ": reply"), &reply_size_);
      !s.ok()) {
    FailReply(std::move(s), ErrorInfo::BAD_MESSAGE);
  }
}

void ServerCall::EncodeMetadata(wire::ReplyHeader* header) const {
  if (!context_.initial_metadata_.empty()) {
    rpc::EncodeMetadata(context_.initial_metadata_, header->mutable_initial_metadata());
  }
  if (!context_.trailing_metadata_.empty()) {
    rpc::EncodeMetadata(context_.trailing_metadata_, header->mutable_trailing_metadata());
  }
}

}  // namespace spoolrpc::server
