#include "tests/interop/options.h"

#include <stdio.h>
#include <stdlib.h>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/host.h"

ABSL_FLAG(std::string, spool, "",
          "the spool: spool:/path or a plain path; empty: $SPOOLRPC_DIR, or ~/.cache/spoolrpc");
ABSL_FLAG(std::string, transport, "auto",
          "auto (by the file system), local, or network (no process takes another for one of its "
          "own host)");

namespace spoolrpc::interop {
namespace {

// Every process is alone on its host: the kernel says nothing of its peers.
class LonelyHost final : public os::Host {
 public:
  os::ProcessId Self() const override {
    os::ProcessId self = Real()->Self();
    self.boot_id = absl::StrCat(absl::Hex(self.pid, absl::kZeroPad8), "-alone");
    return self;
  }
  os::Liveness Look(const os::ProcessId&) const override { return os::Liveness::kUnknown; }
  int OpenPidfd(const os::ProcessId&) const override { return -1; }
  int Cpus() const override { return Real()->Cpus(); }
};

spool::Transport TransportFlag() {
  const std::string name = absl::GetFlag(FLAGS_transport);
  if (name == "auto") return spool::Transport::kAuto;
  if (name == "local") return spool::Transport::kLocal;
  if (name == "network") return spool::Transport::kNetwork;
  fprintf(stderr, "--transport=%s: it is auto, local, or network\n", name.c_str());
  exit(64);
}

os::Environment EnvironmentFor(spool::Transport transport) {
  static LonelyHost lonely;
  os::Environment environment;
  if (transport == spool::Transport::kNetwork) environment.host = &lonely;
  return environment;
}

}  // namespace

std::string SpoolAddress() { return absl::GetFlag(FLAGS_spool); }

ChannelOptions OptionsOfChannel() {
  ChannelOptions options;
  options.transport = TransportFlag();
  options.environment = EnvironmentFor(options.transport);
  return options;
}

void Configure(ServerBuilder* builder) {
  const spool::Transport transport = TransportFlag();
  builder->AddSpool(SpoolAddress());
  builder->set_transport(transport);
  builder->set_environment(EnvironmentFor(transport));
}

}  // namespace spoolrpc::interop
