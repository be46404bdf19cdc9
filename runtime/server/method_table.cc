#include "spoolrpc/server/method_table.h"

#include "absl/strings/str_cat.h"

namespace spoolrpc::server {

absl::Status MethodTable::Add(const Service* service, const InterceptorFactories& interceptors,
                              const HandlerSubstitutes& substitutes) {
  if (!names_.insert(service->info().full_name).second) {
    return absl::AlreadyExistsError(
        absl::StrCat("service ", service->info().full_name, " was registered twice"));
  }
  services_.push_back(service);
  for (const Service::Method& method : service->methods()) {
    const MethodHandler* handler = method.handler.get();
    if (const auto it = substitutes.find(handler); it != substitutes.end()) handler = it->second;
    if (!interceptors.empty()) {
      intercepted_.push_back(Intercept(handler, method.info, interceptors));
      handler = intercepted_.back().get();
    }
    methods_.emplace(method.info->full_name, std::make_unique<MethodEntry>(method.info, handler));
  }
  return absl::OkStatus();
}

}  // namespace spoolrpc::server
