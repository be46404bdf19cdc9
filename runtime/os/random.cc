#include "spoolrpc/os/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

namespace spoolrpc::os {

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  size_t have = 0;
  while (have < count) {
    const ssize_t got = getrandom(&bytes[have], count - have, 0);
    if (got > 0) have += got;
    // With no flags and an initialised pool getrandom can only be interrupted.
    if (got < 0 && errno != EINTR) abort();
  }
  return bytes;
}

uint64_t RandomUint64() {
  uint64_t value;
  memcpy(&value, RandomBytes(sizeof(value)).data(), sizeof(value));
  return value;
}

}  // namespace spoolrpc::os
