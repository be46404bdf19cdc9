// What generated service classes derive from.
#ifndef SPOOLRPC_SERVER_SERVICE_H_
#define SPOOLRPC_SERVER_SERVICE_H_

#include <memory>
#include <utility>
#include <vector>

#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/server/method_handler.h"
#include "spoolrpc/server/server_observer.h"

namespace spoolrpc {

// A set of methods with their handlers. Built by generated constructors, then constant.
class Service {
 public:
  struct Method {
    const MethodInfo* info;
    std::unique_ptr<MethodHandler> handler;
  };

  virtual ~Service() = default;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  const ServiceInfo& info() const { return *info_; }
  const std::vector<Method>& methods() const { return methods_; }
  // Null, unless the service wants to learn of its server.
  ServerObserver* observer() const { return observer_; }

 protected:
  // `info` must outlive the service (generated code passes a constant).
  explicit Service(const ServiceInfo* info) : info_(info) {}

  // Adds the handler of `info`. A method without one answers UNIMPLEMENTED.
  void AddMethod(const MethodInfo* info, std::unique_ptr<MethodHandler> handler) {
    methods_.push_back({info, std::move(handler)});
  }

  // Puts `handler` in the place of that of the `index`th method that was added. Only while the
  // service is built.
  void MarkMethodCallback(int index, std::unique_ptr<MethodHandler> handler) {
    methods_[index].handler = std::move(handler);
  }

  // `observer` must live as long as the service. Only while the service is built.
  void set_observer(ServerObserver* observer) { observer_ = observer; }

 private:
  const ServiceInfo* const info_;
  std::vector<Method> methods_;
  ServerObserver* observer_ = nullptr;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_SERVICE_H_
