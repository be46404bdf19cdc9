#include "spoolrpc/server/method_table.h"

#include "absl/strings/str_cat.h"

namespace spoolrpc::server {

absl::Status MethodTable::Add(const Service* service) {
  if (!names_.insert(service->info().full_name).second) {
    return absl::AlreadyExistsError(
        absl::StrCat("service ", service->info().full_name, " was registered twice"));
  }
  services_.push_back(service);
  for (const Service::Method& method : service->methods()) {
    methods_.emplace(method.info->full_name,
                     std::make_unique<MethodEntry>(method.info, method.handler.get()));
  }
  return absl::OkStatus();
}

}  // namespace spoolrpc::server
