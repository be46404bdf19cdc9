// What a process uses: a leak that is no leak to a sanitizer, since something still points to it,
// shows as growth.
#ifndef SPOOLRPC_TESTS_SOAK_USAGE_H_
#define SPOOLRPC_TESTS_SOAK_USAGE_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace spoolrpc::soak {

struct Usage {
  int64_t files = 0;  // descriptors that are open
  int64_t threads = 0;
  int64_t memory_kib = 0;  // resident
};

// Of a running process of this user's; none if it has ended.
std::optional<Usage> UsageOf(pid_t pid);

// How much more at the end is no growth, as a share of what there was and so much beside it: what
// is under way at a moment varies, and a channel by the rules of network file systems has threads
// of its own. In ten minutes some thousand clients and channels come and go, some dozen servers,
// and a hundred thousand calls: a descriptor or a thread that each client or server left would be
// beyond, and so would a kilobyte of each call.
struct GrowthBound {
  double share = 0.25;
  int64_t files = 16;
  int64_t threads = 24;
  int64_t memory_kib = 64 << 10;
};

// The usage of one process over time, as samples in order.
class Growth {
 public:
  void Add(const Usage& usage) { samples_.push_back(usage); }
  // Compares the second and the last sixth of the samples: before the first one has ended, what
  // everybody keeps is still being made. What counts is how little was used during a tenth of each,
  // since a leak stays when the load is low. What has grown beyond the bound, one line each.
  std::vector<std::string> Errors(const GrowthBound& bound) const;
  // For people: what is compared.
  std::string Text() const;

 private:
  Usage Low(size_t sixth) const;

  std::vector<Usage> samples_;
};

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_USAGE_H_
