// The kernel as the runtime sees it, in one bundle.
#ifndef SPOOLRPC_OS_ENVIRONMENT_H_
#define SPOOLRPC_OS_ENVIRONMENT_H_

#include "spoolrpc/os/clock.h"
#include "spoolrpc/os/host.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::os {

// Copied freely; what it points to must outlive every user.
struct Environment {
  SystemCalls* calls = SystemCalls::Real();
  Clock* clock = Clock::Real();
  Host* host = Host::Real();
};

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_ENVIRONMENT_H_
