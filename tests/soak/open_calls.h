// The calls that a client has under way: each must end within its bound, and as the rules allow.
#ifndef SPOOLRPC_TESTS_SOAK_OPEN_CALLS_H_
#define SPOOLRPC_TESTS_SOAK_OPEN_CALLS_H_

#include <cstdint>
#include <map>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "spoolrpc/os/clock.h"
#include "tests/soak/ledger.h"
#include "tests/soak/plan.h"
#include "tests/soak/rules.h"

namespace spoolrpc::soak {

// Thread-safe. What is wrong goes to stderr, with "soak:" in front; a server that was lost to
// stdout, as "lost PID" and the whole story, for whoever knows which servers were killed.
class OpenCalls {
 public:
  // A call may take `slack` longer than its bound, since the machine is not infinitely fast. One
  // that takes another `kPatience` is taken to hang, and ends the program.
  OpenCalls(absl::Duration slack, Ledger* ledger);
  ~OpenCalls();

  static constexpr absl::Duration kPatience = absl::Seconds(60);

  // The call begins now.
  void Begin(const Plan& plan) ABSL_LOCKS_EXCLUDED(mu_);
  // It has ended. `peer` is that of its context. Sets the ending's time.
  void End(const Plan& plan, Ending ending, const std::string& peer) ABSL_LOCKS_EXCLUDED(mu_);
  // Blocks while `most` calls or more are under way.
  void AwaitFewerThan(size_t most) ABSL_LOCKS_EXCLUDED(mu_);

  void Report(const std::string& wrong) ABSL_LOCKS_EXCLUDED(mu_);
  bool failed() const ABSL_LOCKS_EXCLUDED(mu_);
  // How many calls ended how, as "KIND=COUNT KIND=COUNT ...".
  std::string Counts() const ABSL_LOCKS_EXCLUDED(mu_);
  // By how many milliseconds the latest was late, and which it was.
  std::string Latest() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Open {
    Plan plan;
    os::Nanos began;
    os::Nanos bound;  // when it must have ended
    bool reported;
  };

  void Watch() ABSL_LOCKS_EXCLUDED(mu_);
  void LookAtAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const absl::Duration slack_;
  Ledger* const ledger_;
  mutable absl::Mutex mu_;
  std::map<uint64_t, Open> open_ ABSL_GUARDED_BY(mu_);
  // Calls that have ended, of which something is still being written down.
  size_t ending_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, int> counts_ ABSL_GUARDED_BY(mu_);
  os::Nanos latest_ ABSL_GUARDED_BY(mu_) = 0;  // beyond the bound, without the slack
  std::string latest_text_ ABSL_GUARDED_BY(mu_);
  bool failed_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread watcher_;
};

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_OPEN_CALLS_H_
