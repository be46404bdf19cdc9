// Time that stands still until a test moves it.
#ifndef SPOOLRPC_TESTS_TESTING_FAKE_CLOCK_H_
#define SPOOLRPC_TESTS_TESTING_FAKE_CLOCK_H_

#include <atomic>

#include "absl/time/time.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::testing {

// Thread-safe. Nobody is woken when it moves: who sleeps by it must be woken by other means.
class FakeClock final : public os::Clock {
 public:
  // Starts an hour after boot, so that nothing that is an hour old lies before the boot.
  explicit FakeClock(absl::Duration since_boot = absl::Hours(1))
      : start_(absl::ToInt64Nanoseconds(since_boot)), now_(start_) {}

  os::Nanos Now() const override { return now_.load(); }
  // 2020-01-01 00:00:00 UTC at the start.
  absl::Time WallTime() const override {
    return absl::FromUnixSeconds(1577836800) + absl::Nanoseconds(now_.load() - start_);
  }

  void Advance(absl::Duration by) { now_ += absl::ToInt64Nanoseconds(by); }

 private:
  const os::Nanos start_;
  std::atomic<os::Nanos> now_;
};

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_TESTING_FAKE_CLOCK_H_
