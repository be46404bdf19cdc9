// A running server.
#ifndef SPOOLRPC_SERVER_SERVER_H_
#define SPOOLRPC_SERVER_SERVER_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "spoolrpc/server/service.h"

namespace spoolrpc {

class ServerObserver;

namespace metrics {
class Registry;
class TextfileWriter;
}  // namespace metrics

namespace os {
class SystemCalls;
}  // namespace os

namespace server {
class FailureLog;
class IsolatedMethods;
class MethodTable;
class ServerLog;
class SpoolServer;
class StopSignal;
}  // namespace server

// Made by ServerBuilder. Thread-safe.
class Server {
 public:
  // Shuts down as Shutdown() does, without a deadline of its own.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Blocks until the server has shut down, or had to step down (somebody removed its directory):
  // the status then says why. It shuts down when Shutdown() is called, and when the spool's owner
  // asks for it through any of its spools (`spoolrpc drain`, `spoolrpc stop`, a server that takes
  // over by force): a thread of its own then does what Shutdown() does, so that a program that
  // waits here ends.
  absl::Status Wait();

  // Stops taking calls; returns what has not started, safe to send again; finishes what runs until
  // `deadline`, then cancels it (ServerContext::IsCancelled()) and waits for it; ends the sessions
  // and removes the server's directory. Blocks until all that is done. A call while another one is
  // under way can bring the deadline forward; one after it does nothing.
  void Shutdown(absl::Time deadline = absl::InfiniteFuture());

  // What has gone wrong since the last call of this: why the server stepped down (that stays), else
  // what a handler threw, or how its process ended, the first one with the number of others. OK if
  // nothing. Callers have the status of their own call all the same. Does not block.
  absl::Status Check();

  // The spools that it serves, as paths.
  std::vector<std::string> spools() const;

 private:
  friend class ServerBuilder;

  Server();

  // Tells the services that want to know it that the server starts.
  absl::Status StartObservers();

  // Shuts down when somebody asks for it through a spool.
  void StartStopper();

  // Of an isolated handler.
  void OnChildFailed(const absl::Status& failure);

  // In the order in which they are made: each uses those before it.
  std::unique_ptr<server::FailureLog> failures_;
  std::unique_ptr<server::StopSignal> stop_;
  std::vector<std::unique_ptr<Service>> raw_services_;
  std::unique_ptr<server::IsolatedMethods> isolated_;
  std::unique_ptr<metrics::Registry> own_metrics_;  // null: the program's, or none
  std::shared_ptr<os::SystemCalls> calls_;          // null: the environment's are not counted
  std::unique_ptr<server::MethodTable> methods_;
  std::vector<std::unique_ptr<server::ServerLog>> logs_;
  std::vector<std::unique_ptr<server::SpoolServer>> servers_;
  std::vector<ServerObserver*> observers_;
  std::unique_ptr<metrics::TextfileWriter> metrics_file_;  // null: none is written
  std::thread stopper_;
  absl::Mutex mu_;
  absl::Mutex shutdown_mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_SERVER_H_
