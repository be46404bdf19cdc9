#include "spoolrpc/server/service_records.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::server {
namespace {

// For what the record says beside: ids, the process, versions.
constexpr size_t kRoomForTheRest = 4096;

spool::MethodRecord::Kind KindOf(const MethodInfo& method) {
  switch (method.kind) {
    case MethodKind::kUnary:
      return spool::MethodRecord::UNARY;
    case MethodKind::kClientStreaming:
      return spool::MethodRecord::CLIENT_STREAMING;
    case MethodKind::kServerStreaming:
      return spool::MethodRecord::SERVER_STREAMING;
    case MethodKind::kBidiStreaming:
      return spool::MethodRecord::BIDI_STREAMING;
  }
  return spool::MethodRecord::KIND_UNSPECIFIED;
}

void AddMethods(const Service& service, spool::ServiceRecord* record) {
  const std::string prefix = absl::StrCat("/", service.info().full_name, "/");
  absl::flat_hash_set<absl::string_view> added;
  for (const Service::Method& method : service.methods()) {
    absl::string_view name = method.info->full_name;
    // As MethodTable does it: of two with one name the first counts.
    if (!absl::ConsumePrefix(&name, prefix) || !added.insert(name).second) continue;
    spool::MethodRecord* const entry = record->add_methods();
    entry->set_name(std::string(name));
    entry->set_kind(KindOf(*method.info));
    entry->set_request_type(method.info->request_type);
    entry->set_response_type(method.info->response_type);
    entry->set_fingerprint(method.info->fingerprint);
  }
}

}  // namespace

absl::Status AddServices(const MethodTable& methods, spool::ServerRecord* record) {
  int count = 0;
  for (const Service* service : methods.services()) {
    spool::ServiceRecord* const entry = record->add_services();
    entry->set_name(service->info().full_name);
    entry->set_fingerprint(service->info().fingerprint);
    AddMethods(*service, entry);
    count += entry->methods_size();
  }
  const size_t size = record->ByteSizeLong();
  constexpr size_t kRoom = spool::kMaxRecordSize - kRoomForTheRest;
  if (size <= kRoom) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "ServerBuilder: the names of ", record->services_size(), " services with ", count,
      " methods take ", size, " bytes of the server's record, which has room for ", kRoom,
      "; register fewer of them, and the others with a second server"));
}

}  // namespace spoolrpc::server
