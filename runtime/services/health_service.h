// grpc.health.v1.Health for a server of SpoolRPC.
//
//   spoolrpc::HealthService health;
//   builder.RegisterService(&health);
//
// Every service of the server, and the server as a whole (""), is SERVING until the program says
// otherwise, and NOT_SERVING once the server drains. Watches are told when that changes; a watcher
// that reads slowly misses what was over before it read, never what stays. When the server drains
// they are told NOT_SERVING, and end with UNAVAILABLE; a client that does not read is waited for no
// longer than a second. A watch costs no thread.
#ifndef SPOOLRPC_SERVICES_HEALTH_SERVICE_H_
#define SPOOLRPC_SERVICES_HEALTH_SERVICE_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/health/v1/health.spoolrpc.pb.h"
#include "spoolrpc/server/server_reactor.h"
#include "spoolrpc/services/health_check_service_interface.h"
#include "spoolrpc/services/open_streams.h"

namespace spoolrpc {

// For one server at a time: BuildAndStart() of a second one fails with FAILED_PRECONDITION. What
// the program has set is kept from one server to the next.
class HealthService final : public grpc::health::v1::Health::CallbackService,
                            public HealthCheckServiceInterface {
 public:
  HealthService();

  // HealthCheckServiceInterface. May be called before the server starts.
  void SetServingStatus(const std::string& service_name, bool serving) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void SetServingStatus(bool serving) override ABSL_LOCKS_EXCLUDED(mu_);
  void Shutdown() override ABSL_LOCKS_EXCLUDED(mu_);

  // What clients are told; SERVICE_UNKNOWN if there is no such service.
  grpc::health::v1::HealthCheckResponse::ServingStatus GetServingStatus(
      const std::string& service_name) const ABSL_LOCKS_EXCLUDED(mu_);

  // The handlers.
  ServerUnaryReactor* Check(CallbackServerContext* context,
                            const grpc::health::v1::HealthCheckRequest* request,
                            grpc::health::v1::HealthCheckResponse* response) override;
  ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      CallbackServerContext* context, const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  class Watcher;

  services::OpenStreams streams_;
  mutable absl::Mutex mu_;
  absl::flat_hash_map<std::string, bool> serving_ ABSL_GUARDED_BY(mu_);
  // Of services of the server that are not in serving_.
  bool others_serving_ ABSL_GUARDED_BY(mu_) = true;
  bool shut_down_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVICES_HEALTH_SERVICE_H_
