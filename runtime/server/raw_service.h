// Methods whose handlers take and give bytes.
#ifndef SPOOLRPC_SERVER_RAW_SERVICE_H_
#define SPOOLRPC_SERVER_RAW_SERVICE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "spoolrpc/link/bytes.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/server/server_context.h"
#include "spoolrpc/server/service.h"

namespace spoolrpc {

// `request` may be kept, as any handle on Bytes; `*reply` may be any bytes, those of the request
// too. May be called on several threads at once.
using RawHandler =
    std::function<absl::Status(ServerContext* context, const Bytes& request, Bytes* reply)>;

namespace server {

// The raw methods of one service.
class RawService final : public Service {
 public:
  // `name` is "package.Service".
  static std::unique_ptr<RawService> Make(std::string name);

  // `method` must live as long as the process.
  void Add(const MethodInfo* method, RawHandler handler);

 private:
  struct Description {
    std::string name;
    ServiceInfo info;
  };
  explicit RawService(std::unique_ptr<Description> description);

  const std::unique_ptr<const Description> description_;
};

}  // namespace server
}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_RAW_SERVICE_H_
