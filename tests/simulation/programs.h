// The programs of a simulated world: servers and clients as a user would write them, of the real
// runtime, whose files, clock and threads are the world's.
#ifndef SPOOLRPC_TESTS_SIMULATION_PROGRAMS_H_
#define SPOOLRPC_TESTS_SIMULATION_PROGRAMS_H_

#include <cstdint>
#include <vector>

#include "spoolrpc/os/clock.h"

namespace spoolrpc::simulation {

inline constexpr char kSpool[] = "/spool";

enum class Idempotency : int { kOnce, kAckFirst, kIdempotent };
constexpr int kMethods = 3;

struct ServerOptions {
  os::Nanos lease_term;
  int workers;
};

struct CallPlan {
  Idempotency method;
  bool durable;
  os::Nanos pause;    // before it
  os::Nanos work;     // of its handler
  os::Nanos timeout;  // 0: none
  int payload;        // bytes
};

struct ClientOptions {
  os::Nanos lease_term;
  os::Nanos ack_timeout;
  std::vector<std::vector<CallPlan>> threads;
};

// Each runs in a simulated process of that number, until it ends.
void RunServer(int process, const ServerOptions& options);
void RunClient(int process, const ClientOptions& options);
// Collects every durable call that the history has.
void RunCollector(int process);

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_PROGRAMS_H_
