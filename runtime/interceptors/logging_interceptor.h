// Says each call in a line, on either side.
#ifndef SPOOLRPC_INTERCEPTORS_LOGGING_INTERCEPTOR_H_
#define SPOOLRPC_INTERCEPTORS_LOGGING_INTERCEPTOR_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "spoolrpc/client/client_interceptor.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/server/server_interceptor.h"

namespace spoolrpc {

// One line when a call has ended: method, peer, messages and their bytes each way, how long it
// took, and the status. Metadata and messages are left out: they may be secret.
class LoggingInterceptorFactory final : public ClientInterceptorFactory,
                                        public ServerInterceptorFactory {
 public:
  // `write` takes a line without its newline; it is called by several threads at once.
  explicit LoggingInterceptorFactory(std::function<void(const std::string&)> write,
                                     const os::Clock* clock = os::Clock::Real())
      : write_(std::move(write)), clock_(clock) {}

  std::unique_ptr<ClientInterceptor> CreateClientInterceptor(const MethodInfo& method) override;
  std::unique_ptr<ServerInterceptor> CreateServerInterceptor(const MethodInfo& method) override;

 private:
  const std::function<void(const std::string&)> write_;
  const os::Clock* const clock_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_INTERCEPTORS_LOGGING_INTERCEPTOR_H_
