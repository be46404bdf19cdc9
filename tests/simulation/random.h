// Chance that a seed repeats, whatever the standard library.
#ifndef SPOOLRPC_TESTS_SIMULATION_RANDOM_H_
#define SPOOLRPC_TESTS_SIMULATION_RANDOM_H_

#include <cstdint>

#include "spoolrpc/os/clock.h"

namespace spoolrpc::simulation {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, bound).
  int64_t Below(int64_t bound) { return static_cast<int64_t>(Next() % bound); }
  int64_t Between(int64_t low, int64_t high) { return low + Below(high - low + 1); }
  bool OneIn(int64_t count) { return Below(count) == 0; }

 private:
  uint64_t state_;
};

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_RANDOM_H_
