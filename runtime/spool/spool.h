// A spool that this process has opened: its paths, modes, and how its files are read and written.
#ifndef SPOOLRPC_SPOOL_SPOOL_H_
#define SPOOLRPC_SPOOL_SPOOL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/os/file_system_type.h"
#include "spoolrpc/spool/layout.h"
#include "spoolrpc/spool/spool_access.h"

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
  // Opens the spool at `root`; a server creates what is missing (parents included): for its owner
  // alone, or shared as `access` says, which its owner may also say of a spool that is there.
  // Errors name the path and what to do: not a directory, no permission, unsafe modes (others may
  // write), a newer format, or a spool that this user may not serve.
  static absl::StatusOr<std::shared_ptr<const Spool>> OpenOrCreate(const os::Environment& env,
                                                                   const std::string& root,
                                                                   Transport transport,
                                                                   const SpoolAccess& access = {});
  // A client opens what is there. NOT_FOUND: there is no spool yet (a server may still make it).
  // Other errors as above; PERMISSION_DENIED also for another user's spool that is not shared.
  static absl::StatusOr<std::shared_ptr<const Spool>> Open(const os::Environment& env,
                                                           const std::string& root,
                                                           Transport transport);

  const os::Environment& env() const { return env_; }
  const std::string& root() const { return root_; }
  uint32_t owner() const { return owner_.uid; }
  // The group that it is shared with, if it is.
  std::optional<uint32_t> group() const { return owner_.group; }
  // Whether servers of that uid are to be trusted: the owner, root, and whom the owner has listed.
  bool MayServe(uint32_t uid) const;
  // Of the files that others of this spool read.
  uint32_t file_mode() const { return group().has_value() ? 0640 : 0600; }
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

  // Makes a directory in which only this process's user makes names, and which the others of this
  // spool may read.
  absl::Status MakeDirectory(const std::string& path) const;
  // Makes one in which all of this spool make names, and remove their own.
  absl::Status MakeSharedDirectory(const std::string& path) const;

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
  SpoolOwner owner_;
  std::vector<uint32_t> server_uids_;
  os::FileSystemType file_system_;
  bool network_ = false;
  log::FileAccess access_;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_SPOOL_H_
