// How a service learns of the server that it belongs to: its other services, and that it drains.
#ifndef SPOOLRPC_SERVER_SERVER_OBSERVER_H_
#define SPOOLRPC_SERVER_SERVER_OBSERVER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace spoolrpc {

// Given to Service::set_observer() by services whose calls last until somebody ends them, or that
// tell about the server. Called by one thread at a time for each server; must not block.
class ServerObserver {
 public:
  virtual ~ServerObserver() = default;

  // The server is about to start, with these services, by their full names in the order of their
  // registration. An error is what BuildAndStart() returns; nothing else is called then.
  virtual absl::Status OnStart(const std::vector<std::string>& services) = 0;
  // The server drains: it soon takes no more calls, and then waits for those it has. What would not
  // end by itself is to be ended now, and what still comes as soon as it comes. Called too if the
  // server did not start after all.
  virtual void OnDrain() = 0;
  // After OnDrain(): the server's last call has ended. The observer may be given to another one.
  virtual void OnStopped() = 0;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_SERVER_OBSERVER_H_
