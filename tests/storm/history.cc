#include "tests/storm/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::storm {

History::History(const std::string& path)
    : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (fd_ < 0) {
    perror(path.c_str());
    abort();
  }
}

History::~History() { close(fd_); }

void History::Append(absl::string_view what, absl::string_view fields) const {
  const std::string line = absl::StrCat(what, " ", os::Clock::Real()->Now(), fields, "\n");
  if (write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    perror("write a history");
    abort();
  }
}

uint64_t Hash(absl::string_view bytes, uint64_t hash) {
  for (const char byte : bytes) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001b3;
  }
  return hash;
}

std::string MakePayload(absl::string_view name, size_t size) {
  uint64_t state = Hash(name) | 1;
  std::string payload(size, '\0');
  for (char& byte : payload) {
    // xorshift64
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<char>(state >> 32);
  }
  return payload;
}

std::string AsField(absl::string_view text) {
  std::string field(text.substr(0, 300));
  for (char& byte : field) {
    if (!absl::ascii_isgraph(byte)) byte = '_';
  }
  return field;
}

}  // namespace spoolrpc::storm
