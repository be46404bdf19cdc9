// How the programs of the contenders give up.
#ifndef SPOOLRPC_BENCHMARKS_DIE_H_
#define SPOOLRPC_BENCHMARKS_DIE_H_

#include <string>

namespace spoolrpc::benchmarks {

// Prints the message and ends the process: a benchmark with a failed call has no result.
[[noreturn]] void Die(const std::string& message);

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_DIE_H_
