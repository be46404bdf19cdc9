// Random tests that can be repeated.
#ifndef SPOOLRPC_TESTS_TESTING_SEED_H_
#define SPOOLRPC_TESTS_TESTING_SEED_H_

#include <stdlib.h>

#include <cstdint>
#include <iostream>
#include <random>

namespace spoolrpc::testing {

// $SPOOLRPC_TEST_SEED if it is set, else another one at every call. Printed, so that a failure can
// be repeated: bazel test --test_env=SPOOLRPC_TEST_SEED=... TARGET
inline uint64_t TestSeed() {
  const char* const given = getenv("SPOOLRPC_TEST_SEED");
  const uint64_t seed = given != nullptr ? strtoull(given, nullptr, 0) : std::random_device{}();
  std::cout << "SPOOLRPC_TEST_SEED=" << seed << std::endl;
  return seed;
}

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_TESTING_SEED_H_
