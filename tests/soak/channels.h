// The channels of a client: one at a time is current, and is replaced now and then, with whatever
// calls are open on it.
#ifndef SPOOLRPC_TESTS_SOAK_CHANNELS_H_
#define SPOOLRPC_TESTS_SOAK_CHANNELS_H_

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "spoolrpc/spoolrpc.h"

namespace spoolrpc::soak {

// Thread-safe.
class Channels {
 public:
  // So many percent of the channels follow the rules of network file systems.
  Channels(std::string spool, int network_percent)
      : spool_(std::move(spool)), network_percent_(network_percent) {}

  // The current channel, or a new one with options drawn at random.
  std::shared_ptr<Channel> Get(std::mt19937_64* random) ABSL_LOCKS_EXCLUDED(mu_);
  // Drops the current one, and waits until all that ever were are gone, as they must be when their
  // calls have ended. False: one is still there after `timeout`.
  bool Close(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::shared_ptr<Channel> New(std::mt19937_64* random) const;

  const std::string spool_;
  const int network_percent_;
  absl::Mutex mu_;
  std::shared_ptr<Channel> current_ ABSL_GUARDED_BY(mu_);
  std::vector<std::weak_ptr<Channel>> all_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_CHANNELS_H_
