// A spool that this process has opened: its paths, modes, and how its files are read and written.
#ifndef SPOOLRPC_SPOOL_SPOOL_H_
#define SPOOLRPC_SPOOL_SPOOL_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/os/file_system_type.h"
#include "spoolrpc/spool/layout.h"

namespace spoolrpc::spool {

// How calls travel. kAuto decides by the file system; the others are for tests and measurements.
enum class Transport {
  kAuto,
  kLocal,    // doorbells, plain reads and writes
  kNetwork,  // flushed writes, polling, no doorbells
};

// Immutable; thread-safe.
class Spool {
 public:
  // Opens the spool at `root`; a server creates what is missing (parents included, all 0700).
  // Errors name the path and what to do: not a directory, no permission, unsafe modes (others may
  // write), a newer format.
  static absl::StatusOr<std::shared_ptr<const Spool>> OpenOrCreate(const os::Environment& env,
                                                                   const std::string& root,
                                                                   Transport transport);
  // A client opens what is there. NOT_FOUND: there is no spool yet (a server may still make it).
  static absl::StatusOr<std::shared_ptr<const Spool>> Open(const os::Environment& env,
                                                           const std::string& root,
                                                           Transport transport);

  const os::Environment& env() const { return env_; }
  const std::string& root() const { return root_; }
  uint32_t owner() const { return owner_; }
  const os::FileSystemType& file_system() const { return file_system_; }
  // Calls travel by the network rules (flushed writes, I/O threads).
  bool network() const { return network_; }
  const log::FileAccess& access() const { return access_; }

  std::string servers() const { return Join(root_, kServers); }
  std::string server(absl::string_view id) const { return Join(servers(), IdName(id)); }
  std::string sessions() const { return Join(root_, kSessions); }
  std::string session(absl::string_view id) const { return Join(sessions(), IdName(id)); }
  std::string durable() const { return Join(root_, kDurable); }
  std::string durable_call(absl::string_view ticket) const {
    return Join(durable(), IdName(ticket));
  }
  std::string logs() const { return Join(root_, kLogs); }

  // A name that nobody else uses, in `directory`.
  std::string TemporaryPath(const std::string& directory) const;

  // Changes `directory` once more after a name was published in it (docs/protocol.md, section 2:
  // NFS 3 may miss the first change). Call it 20 ms after the publication; only network file
  // systems need it.
  void Touch(const std::string& directory) const;

 private:
  Spool() = default;

  os::Environment env_;
  std::string root_;
  uint32_t owner_ = 0;
  os::FileSystemType file_system_;
  bool network_ = false;
  log::FileAccess access_;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_SPOOL_H_
