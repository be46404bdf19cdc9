#include "benchmarks/die.h"

#include <stdio.h>
#include <unistd.h>

namespace spoolrpc::benchmarks {

void Die(const std::string& message) {
  fprintf(stderr, "benchmark: %s\n", message.c_str());
  _exit(1);
}

}  // namespace spoolrpc::benchmarks
