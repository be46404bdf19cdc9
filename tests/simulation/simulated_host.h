// Who a simulated process is: each on a host of its own, which cannot tell whether those on others
// live.
#ifndef SPOOLRPC_TESTS_SIMULATION_SIMULATED_HOST_H_
#define SPOOLRPC_TESTS_SIMULATION_SIMULATED_HOST_H_

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/host.h"

namespace spoolrpc::simulation {

class SimulatedHost final : public os::Host {
 public:
  explicit SimulatedHost(int process) : process_(process) {}

  os::ProcessId Self() const override {
    os::ProcessId self;
    self.host = absl::StrCat("host-", process_);
    self.boot_id = absl::StrCat("00000000-0000-4000-8000-", absl::Dec(process_, absl::kZeroPad12));
    self.pid = 1000 + process_;
    self.start_time = 1;
    self.pid_namespace = 4026531836;
    self.uid = geteuid();
    return self;
  }
  os::Liveness Look(const os::ProcessId& process) const override {
    return process.pid == 1000 + process_ ? os::Liveness::kAlive : os::Liveness::kUnknown;
  }
  int OpenPidfd(const os::ProcessId& process) const override { return -1; }
  int Cpus() const override { return 2; }

 private:
  const int process_;
};

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_SIMULATED_HOST_H_
