// Whether simulated programs say on stderr what they do.
#ifndef SPOOLRPC_TESTS_SIMULATION_VERBOSE_H_
#define SPOOLRPC_TESTS_SIMULATION_VERBOSE_H_

namespace spoolrpc::simulation {

// Set before the first world begins.
inline bool& Verbose() {
  static bool verbose = false;
  return verbose;
}

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_VERBOSE_H_
