// Who this process is, and whether another process of this host still lives.
#ifndef SPOOLRPC_OS_HOST_H_
#define SPOOLRPC_OS_HOST_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace spoolrpc::os {

struct ProcessId {
  std::string host;
  std::string boot_id;
  int64_t pid = 0;
  uint64_t start_time = 0;     // field 22 of /proc/PID/stat, in clock ticks since boot
  uint64_t pid_namespace = 0;  // inode of /proc/self/ns/pid
  uint32_t uid = 0;
};

enum class Liveness {
  kAlive,
  kDead,
  kUnknown,  // another host, another pid namespace, or the kernel does not tell
};

// Thread-safe.
class Host {
 public:
  virtual ~Host() = default;

  // This process. After a fork the child's own.
  virtual ProcessId Self() const = 0;
  virtual Liveness Look(const ProcessId& process) const = 0;
  // A descriptor that polls readable when the process has ended, or -1 if there is none to be had.
  // The caller closes it.
  virtual int OpenPidfd(const ProcessId& process) const = 0;
  // CPUs that this process may run on, at least 1.
  virtual int Cpus() const = 0;

  // The kernel's; lives for ever.
  static Host* Real();
};

// Both could ask the kernel about each other: equal boot ids (not empty) and pid namespaces
// (not 0).
bool SameHost(const ProcessId& a, const ProcessId& b);

// ".tmp-BOOT-NAMESPACE-PID-START-RANDOM" of `self`: a temporary name that says who made it.
std::string TemporaryName(const ProcessId& self);

// Whether the maker of a TemporaryName() lives, as far as `host` can tell. kUnknown for other
// names.
Liveness LookAtMaker(const Host& host, absl::string_view temporary_name);

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_HOST_H_
