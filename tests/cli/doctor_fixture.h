// What the tests of `spoolrpc doctor`'s checks share: nodes in one process, over file systems that
// misbehave on command.
#ifndef SPOOLRPC_TESTS_CLI_DOCTOR_FIXTURE_H_
#define SPOOLRPC_TESTS_CLI_DOCTOR_FIXTURE_H_

#include <string>
#include <vector>

#include "cli/doctor/doctor.h"
#include "spoolrpc/os/host.h"
#include "spoolrpc/os/system_calls.h"

namespace spoolrpc::cli::doctor {

// The kernel's word on this process, as if each ran on a host of its own.
class NamedHost final : public os::Host {
 public:
  explicit NamedHost(std::string name) : name_(std::move(name)) {}
  os::ProcessId Self() const override {
    os::ProcessId self = os::Host::Real()->Self();
    self.host = name_;
    self.boot_id = name_ + "-boot";
    return self;
  }
  os::Liveness Look(const os::ProcessId&) const override { return os::Liveness::kUnknown; }
  int OpenPidfd(const os::ProcessId&) const override { return -1; }
  int Cpus() const override { return os::Host::Real()->Cpus(); }

 private:
  const std::string name_;
};

// Enough to see whether something works. What is there is waited for with patience.
Limits FewRounds();
// The same, where something is not there.
Limits FewRoundsAndLittlePatience();

// Alone, in `directory`.
Options Alone(os::SystemCalls* calls, const std::string& directory, const Limits& limits);

struct Both {
  Diagnosis first;
  Diagnosis second;
};
// Two hosts at once, each with its own way to the file system.
Both DiagnoseBoth(os::SystemCalls* first, os::SystemCalls* second, const std::string& directory,
                  const Limits& limits);

// The finding of that name; ends the test's check with a failure if there is none.
Finding FindingOf(const Diagnosis& diagnosis, const std::string& name);
// The names of the findings with this result, each once.
std::vector<std::string> NamesOf(const Diagnosis& diagnosis, Result result);
// "NAME = VALUE" of each setting.
std::vector<std::string> SettingsOf(const Diagnosis& diagnosis);

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_TESTS_CLI_DOCTOR_FIXTURE_H_
