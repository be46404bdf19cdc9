#include "spoolrpc/client/server_schema.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "spoolrpc/spool/layout.h"

namespace spoolrpc::client {
namespace {

using spool::MethodRecord;

// As a message may have it: others wrote it.
std::string Shown(absl::string_view text) {
  constexpr size_t kMost = 200;
  return absl::StrCat(absl::Utf8SafeCEscape(text.substr(0, kMost)),
                      text.size() > kMost ? "..." : "");
}

// The method's own name.
absl::string_view NameOf(absl::string_view method) {
  return method.substr(method.rfind('/') + 1);  // all of it if there is none
}

MethodRecord::Kind KindOf(const MethodInfo& method) {
  switch (method.kind) {
    case MethodKind::kUnary:
      return MethodRecord::UNARY;
    case MethodKind::kClientStreaming:
      return MethodRecord::CLIENT_STREAMING;
    case MethodKind::kServerStreaming:
      return MethodRecord::SERVER_STREAMING;
    case MethodKind::kBidiStreaming:
      return MethodRecord::BIDI_STREAMING;
  }
  return MethodRecord::KIND_UNSPECIFIED;
}

// Of two sides of which each may not say what it has.
template <class Value>
bool Differ(const Value& ours, const Value& theirs, const Value& unknown) {
  return ours != unknown && theirs != unknown && ours != theirs;
}

bool ShapesDiffer(const MethodInfo& ours, const MethodRecord& theirs) {
  const absl::string_view unknown;
  return Differ(KindOf(ours), theirs.kind(), MethodRecord::KIND_UNSPECIFIED) ||
         Differ<absl::string_view>(ours.request_type, theirs.request_type(), unknown) ||
         Differ<absl::string_view>(ours.response_type, theirs.response_type(), unknown);
}

// "rpc (stream a.Request) returns (a.Reply), fingerprint 0x0123456789abcdef".
std::string Shape(MethodRecord::Kind kind, absl::string_view request, absl::string_view response,
                  uint64_t fingerprint) {
  std::string text;
  if (!MethodRecord::Kind_IsValid(kind)) text = absl::StrCat("unknown kind ", kind, " of ");
  const bool both = kind == MethodRecord::BIDI_STREAMING;
  const auto type = [](bool streams, absl::string_view name) {
    return absl::StrCat(streams ? "stream " : "", name.empty() ? "?" : Shown(name));
  };
  absl::StrAppend(&text, "rpc (", type(both || kind == MethodRecord::CLIENT_STREAMING, request),
                  ") returns (", type(both || kind == MethodRecord::SERVER_STREAMING, response),
                  "), ");
  if (fingerprint == 0) return absl::StrCat(text, "no fingerprint");
  return absl::StrCat(text, absl::StrFormat("fingerprint 0x%016x", fingerprint));
}

bool SpeaksOurProtocol(const spool::ServerRecord& record) {
  return record.min_protocol_version() <= spool::kProtocolVersion &&
         spool::kMinProtocolVersion <= record.protocol_version();
}

}  // namespace

absl::string_view ServiceOf(absl::string_view method) {
  if (!method.empty()) method.remove_prefix(1);
  return method.substr(0, method.find('/'));
}

ServerSchema::ServerSchema(const spool::ServerEntry& server)
    : record_(server.record),
      directory_(server.directory),
      speaks_our_protocol_(SpeaksOurProtocol(*record_)) {
  for (const auto& service : record_->services()) {
    Methods& methods = services_[service.name()];
    for (const auto& method : service.methods()) methods[method.name()] = &method;
  }
}

const MethodRecord* ServerSchema::Find(const MethodInfo& method) const {
  const auto service = services_.find(ServiceOf(method.full_name));
  if (service == services_.end()) return nullptr;
  const auto found = service->second.find(NameOf(method.full_name));
  return found == service->second.end() ? nullptr : found->second;
}

Fit ServerSchema::Compare(const MethodInfo* method) const {
  if (method != nullptr && services_.count(ServiceOf(method->full_name)) == 0) {
    return Fit::kNotOffered;
  }
  if (!speaks_our_protocol_) return Fit::kIncompatible;
  const MethodRecord* const theirs = method == nullptr ? nullptr : Find(*method);
  if (theirs == nullptr) return Fit::kFits;
  if (ShapesDiffer(*method, *theirs)) return Fit::kIncompatible;
  if (Differ<uint64_t>(method->fingerprint, theirs->fingerprint(), 0)) return Fit::kDifferent;
  return Fit::kFits;
}

std::string ServerSchema::Explain(const MethodInfo& method) const {
  const std::string server = absl::StrCat(
      "the server ", directory_, " (", Shown(record_->process().host()), ":",
      record_->process().pid(), ", spoolrpc ", Shown(record_->software_version()), ")");
  const std::string self = absl::StrCat("this program (spoolrpc ", spool::kSoftwareVersion, ")");
  if (!speaks_our_protocol_) {
    const bool too_new = record_->min_protocol_version() > spool::kProtocolVersion;
    return absl::StrCat(server, " speaks protocol versions ", record_->min_protocol_version(),
                        " to ", record_->protocol_version(), ", ", self, " speaks ",
                        spool::kMinProtocolVersion, " to ", spool::kProtocolVersion, "; build the ",
                        too_new ? "client" : "server", " with a newer release");
  }
  const MethodRecord* const theirs = Find(method);
  if (theirs == nullptr) return "";
  return absl::StrCat(
      self, " was built with ",
      Shape(KindOf(method), method.request_type, method.response_type, method.fingerprint), "; ",
      server, " with ",
      Shape(theirs->kind(), theirs->request_type(), theirs->response_type(), theirs->fingerprint()),
      ShapesDiffer(method, *theirs)
          ? "; build both from the same .proto file, or give a method that changes another name"
          : "; calls go on, and each side ignores the fields that only the other one knows; build "
            "both from the same .proto file");
}

}  // namespace spoolrpc::client
