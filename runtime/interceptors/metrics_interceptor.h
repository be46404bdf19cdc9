// Counts calls, on either side.
#ifndef SPOOLRPC_INTERCEPTORS_METRICS_INTERCEPTOR_H_
#define SPOOLRPC_INTERCEPTORS_METRICS_INTERCEPTOR_H_

#include <memory>

#include "spoolrpc/client/client_interceptor.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/server/server_interceptor.h"

namespace spoolrpc {

// Feeds a metrics::Registry: calls by method and code, latencies, bytes of messages (before
// compression). For a channel (InterceptChannel) a call lasts from its beginning to its status, all
// attempts included; for a server (ServerBuilder::AddInterceptor) as long as its handler. Costs two
// readings of the clock and some additions a call.
//
// Only for channels of other kinds than Channel, or to count what handlers do alone: a server
// counts by itself if it is told to (ServerBuilder::set_metrics()), and so does a channel
// (ChannelOptions.metrics); in the same registry this would count their calls twice.
class MetricsInterceptorFactory final : public ClientInterceptorFactory,
                                        public ServerInterceptorFactory {
 public:
  // `registry` must outlive the calls.
  explicit MetricsInterceptorFactory(metrics::Registry* registry,
                                     const os::Clock* clock = os::Clock::Real())
      : registry_(registry), clock_(clock) {}

  std::unique_ptr<ClientInterceptor> CreateClientInterceptor(const MethodInfo& method) override;
  std::unique_ptr<ServerInterceptor> CreateServerInterceptor(const MethodInfo& method) override;

 private:
  metrics::Registry* const registry_;
  const os::Clock* const clock_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_INTERCEPTORS_METRICS_INTERCEPTOR_H_
