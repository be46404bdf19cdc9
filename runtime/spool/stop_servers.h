// Asking servers to stop, and waiting until they have: `spoolrpc drain` and `spoolrpc stop`
// (docs/protocol.md, section 11).
#ifndef SPOOLRPC_SPOOL_STOP_SERVERS_H_
#define SPOOLRPC_SPOOL_STOP_SERVERS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "spoolrpc/spool/owner_watch.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// Of one server that was asked.
struct StopOutcome {
  enum class State {
    kAsked,    // and it is still there, as far as is known
    kGone,     // it has ended: it, or somebody after it, has removed its record
    kDead,     // its process is gone, says this host's kernel
    kExpired,  // its lease has been silent for a term
    kFailed,   // it could not be asked: `error`
  };
  ServerEntry server;
  State state = State::kAsked;
  absl::Status error;

  // Neither waited for nor failed.
  bool over() const {
    return state == State::kGone || state == State::kDead || state == State::kExpired;
  }
};

// Not thread-safe; blocks as the file system does.
class ServerStopper {
 public:
  explicit ServerStopper(std::shared_ptr<const Spool> spool)
      : spool_(std::move(spool)), watch_(spool_) {}

  // Asks each of `servers` as AskToStop() does, unless its process is dead.
  void Ask(const std::vector<ServerEntry>& servers, absl::Duration deadline);

  // Looks once at those that are not over.
  void Look();
  // Looks again and again until all are over or have failed, or `timeout` has passed. True: none is
  // still there, and none has failed.
  bool Await(absl::Duration timeout);

  const std::vector<StopOutcome>& outcomes() const { return outcomes_; }

 private:
  const std::shared_ptr<const Spool> spool_;
  OwnerWatch watch_;
  std::vector<StopOutcome> outcomes_;
};

// "SERVER on HOST, pid PID", for messages.
std::string NameOf(const ServerEntry& server);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_STOP_SERVERS_H_
