// Whether what happened in a world keeps the promises. Knows nothing of the runtime: only what
// clients were told and which handlers began.
#ifndef SPOOLRPC_TESTS_SIMULATION_CHECKER_H_
#define SPOOLRPC_TESTS_SIMULATION_CHECKER_H_

#include <string>
#include <vector>

#include "tests/simulation/world.h"

namespace spoolrpc::simulation {

// One line for each promise that was broken.
std::vector<std::string> Check(const Outcome& outcome);

// The history, for people.
std::string Describe(const HistoryEvent& event);

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_CHECKER_H_
