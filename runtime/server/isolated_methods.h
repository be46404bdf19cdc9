// The isolated methods of a server: where their processes come from, and what stands for their
// handlers.
#ifndef SPOOLRPC_SERVER_ISOLATED_METHODS_H_
#define SPOOLRPC_SERVER_ISOLATED_METHODS_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "spoolrpc/isolation/isolated_handler.h"
#include "spoolrpc/isolation/nursery.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/server/service.h"

namespace spoolrpc::server {

// Constant once made.
class IsolatedMethods {
 public:
  // Forks the nursery, if any method of `services` is isolated: before this process has threads,
  // or it is FAILED_PRECONDITION. INVALID_ARGUMENT if the handler of such a method is a reactor.
  // The services must outlive this; `processes` tells how many a method may have.
  static absl::StatusOr<std::unique_ptr<IsolatedMethods>> Start(
      const std::vector<Service*>& services, const std::function<int(const MethodInfo&)>& processes,
      const isolation::FailureFn& on_failure);

  const HandlerSubstitutes& substitutes() const { return substitutes_; }

 private:
  IsolatedMethods() = default;

  std::unique_ptr<isolation::Nursery> nursery_;
  std::vector<std::unique_ptr<MethodHandler>> handlers_;
  HandlerSubstitutes substitutes_;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_ISOLATED_METHODS_H_
