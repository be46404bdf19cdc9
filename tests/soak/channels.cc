#include "tests/soak/channels.h"

#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/time/clock.h"

namespace spoolrpc::soak {

std::shared_ptr<Channel> Channels::New(std::mt19937_64* random) const {
  const auto percent = [random](unsigned percent) { return (*random)() % 100 < percent; };
  ChannelOptions options;
  constexpr Balancing kBalancings[] = {Balancing::kRoundRobin, Balancing::kLeastInFlight,
                                       Balancing::kPickFirst};
  options.balancing = kBalancings[(*random)() % std::size(kBalancings)];
  if (percent(network_percent_)) options.transport = spool::Transport::kNetwork;
  if (percent(30)) options.spin = absl::ZeroDuration();
  if (percent(20)) options.compression = Compression::kZstd;
  if (percent(20)) options.max_servers = 1;
  if (percent(30)) options.log_capacity = 64 << 10;
  if (percent(20)) {
    options.max_calls_in_flight = 2;
    options.when_full = percent(50) ? WhenFull::kFail : WhenFull::kBlock;
  }
  auto channel = CreateChannel(spool_, options);
  if (!channel.ok()) {
    fprintf(stderr, "soak: %s\n", channel.status().ToString().c_str());
    abort();
  }
  return *std::move(channel);
}

std::shared_ptr<Channel> Channels::Get(std::mt19937_64* random) {
  std::shared_ptr<Channel> old;  // goes without the lock
  absl::MutexLock lock(&mu_);
  if (current_ == nullptr || (*random)() % 50 == 0) {
    old = std::exchange(current_, New(random));
    all_.erase(std::remove_if(all_.begin(), all_.end(),
                              [](const std::weak_ptr<Channel>& one) { return one.expired(); }),
               all_.end());
    all_.push_back(current_);
  }
  return current_;
}

bool Channels::Close(absl::Duration timeout) {
  std::vector<std::weak_ptr<Channel>> all;
  {
    std::shared_ptr<Channel> last;
    absl::MutexLock lock(&mu_);
    last.swap(current_);
    all.swap(all_);
  }
  const absl::Time deadline = absl::Now() + timeout;
  for (const std::weak_ptr<Channel>& one : all) {
    // (There is nothing to wait on: they go with whoever holds them last.)
    while (!one.expired()) {
      if (absl::Now() >= deadline) return false;
      absl::SleepFor(absl::Milliseconds(2));
    }
  }
  return true;
}

}  // namespace spoolrpc::soak
