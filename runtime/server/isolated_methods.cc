#include "spoolrpc/server/isolated_methods.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"

namespace spoolrpc::server {

absl::StatusOr<std::unique_ptr<IsolatedMethods>> IsolatedMethods::Start(
    const std::vector<Service*>& services, const std::function<int(const MethodInfo&)>& processes,
    const isolation::FailureFn& on_failure) {
  std::vector<isolation::HandlerEntry> entries;
  for (const Service* const service : services) {
    if (service == nullptr) return absl::InvalidArgumentError("ServerBuilder: a null service");
    for (const Service::Method& method : service->methods()) {
      if (method.info->isolation == Isolation::kNone) continue;
      if (method.handler->uses_reactor()) {
        return absl::InvalidArgumentError(absl::StrCat(
            method.info->full_name,
            " has `isolation: PROCESS` and a callback handler: write it as a blocking one (it has "
            "a process to itself), or take the option out of the .proto file"));
      }
      entries.push_back({method.info, method.handler.get()});
    }
  }
  auto methods = std::unique_ptr<IsolatedMethods>(new IsolatedMethods);
  if (entries.empty()) return methods;
  auto nursery = isolation::Nursery::Start(entries);
  if (!nursery.ok()) return nursery.status();
  methods->nursery_ = *std::move(nursery);
  for (uint32_t i = 0; i < entries.size(); ++i) {
    methods->handlers_.push_back(isolation::IsolateHandler(
        methods->nursery_.get(), i, entries[i], processes(*entries[i].info), on_failure));
    methods->substitutes_[entries[i].handler] = methods->handlers_.back().get();
  }
  return methods;
}

}  // namespace spoolrpc::server
