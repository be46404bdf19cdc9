// A process that believes to be alone on its host, so that the kernel tells it nothing about its
// peers: what is left are leases, as between two hosts of a network file system.
#ifndef SPOOLRPC_TESTS_FAILURE_OTHER_HOST_H_
#define SPOOLRPC_TESTS_FAILURE_OTHER_HOST_H_

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/host.h"

namespace spoolrpc::failure {

// Thread-safe.
class OtherHost final : public os::Host {
 public:
  os::ProcessId Self() const override {
    os::ProcessId self = os::Host::Real()->Self();
    self.boot_id = absl::StrCat(absl::Hex(self.pid, absl::kZeroPad8), "-another-boot");
    self.host = absl::StrCat("host-of-", self.pid);
    return self;
  }
  os::Liveness Look(const os::ProcessId&) const override { return os::Liveness::kUnknown; }
  int OpenPidfd(const os::ProcessId&) const override { return -1; }
  int Cpus() const override { return os::Host::Real()->Cpus(); }
};

}  // namespace spoolrpc::failure

#endif  // SPOOLRPC_TESTS_FAILURE_OTHER_HOST_H_
