// What will happen in a simulated world: chosen from its seed before it begins, so that a seed is
// all it takes to have it again.
#ifndef SPOOLRPC_TESTS_SIMULATION_PLAN_H_
#define SPOOLRPC_TESTS_SIMULATION_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "spoolrpc/os/clock.h"
#include "tests/simulation/programs.h"

namespace spoolrpc::simulation {

struct Fault {
  enum class Kind {
    kKill,      // the process ends at once, what it had in flight may still arrive
    kPause,     // the process stands still for `duration`, in whatever it does
    kFreeze,    // its whole host does: what it has asked of the file system waits too
    kStop,      // the process is asked to stop, as by SIGTERM
    kStallOne,  // what the process asks of the file system waits for `duration`
    kStallAll,  // what anyone asks does
    kFlip,      // a byte of some log changes
    kZero,      // a block of some log becomes zeros
  };
  Kind kind;
  os::Nanos when;
  // != 0: not at a time, but when the process is about to make that many-th write to a log.
  int at_write;
  int process;
  os::Nanos duration;
};

// How the file system behaves while faults may happen. Chances are "one in"; 0: never.
struct FilePlan {
  os::Nanos min_latency;
  os::Nanos max_latency;
  int tear;         // a write arrives in two parts, in any order
  int stale_list;   // a listing is as it was some milliseconds ago
  int slow;         // an operation takes up to a term
  int write_error;  // a write fails with EIO; some of it may have arrived
  int read_error;   // a read fails with EIO or ESTALE
  int name_error;   // link, rename, unlink, mkdir or open fails, though it may have been done
};

struct ProcessPlan {
  bool server;
  os::Nanos start;
  ServerOptions server_options;
  ClientOptions client_options;
};

struct Plan {
  uint64_t seed;
  os::Nanos faults_end;  // from then on the file system is well and nobody is killed
  os::Nanos end;         // by then every call must have ended
  os::Nanos tidy;  // so long servers go on then, to remove what others have left; 0: not at all
  FilePlan files;
  std::vector<ProcessPlan> processes;
  std::vector<Fault> faults;
};

// `freezes`: so many servers' hosts freeze for about a term, beside whatever else goes wrong.
Plan MakePlan(uint64_t seed, int freezes = 0);
// For people, in some lines.
std::string Describe(const Plan& plan);

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_PLAN_H_
