// How a program says whether its services can do their work; as grpc::HealthCheckServiceInterface.
#ifndef SPOOLRPC_SERVICES_HEALTH_CHECK_SERVICE_INTERFACE_H_
#define SPOOLRPC_SERVICES_HEALTH_CHECK_SERVICE_INTERFACE_H_

#include <string>

namespace spoolrpc {

// Thread-safe; nothing blocks.
class HealthCheckServiceInterface {
 public:
  virtual ~HealthCheckServiceInterface() = default;

  // Sets the status of one service, by its full name; empty: of the server as a whole. The name
  // need not be that of a service of the server: it is known from then on.
  virtual void SetServingStatus(const std::string& service_name, bool serving) = 0;
  // Sets the status of every service, and of the server as a whole.
  virtual void SetServingStatus(bool serving) = 0;
  // Nothing is serving from here on, whatever is set later.
  virtual void Shutdown() = 0;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVICES_HEALTH_CHECK_SERVICE_INTERFACE_H_
