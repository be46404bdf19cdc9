// The temporary directory in which `spoolrpc doctor` works, and how files in it are written and
// read: as the runtime would on this file system.
#ifndef SPOOLRPC_CLI_DOCTOR_WORKSPACE_H_
#define SPOOLRPC_CLI_DOCTOR_WORKSPACE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/file_system_type.h"

namespace spoolrpc::cli::doctor {

// Live files are longer than 64 KiB: smaller ones are shown late by some clients.
constexpr uint64_t kLiveFileSize = 68 * 1024;
constexpr size_t kBlock = 4096;

// Thread-safe, but for Publish() and UseNetworkRules(). The directory is removed with all that is
// in it by Remove(), or by the destructor.
class Workspace {
 public:
  // Makes `DIRECTORY/.spoolrpc-doctor-RANDOM` (0700), and removes those of this user that are more
  // than an hour old by the file server's clock: their makers were killed.
  static absl::StatusOr<std::unique_ptr<Workspace>> Make(const os::Environment& env,
                                                         const std::string& directory);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // Gives it the name PublishedName(): whoever looks for the label finds it, with all that is in
  // it. Paths that were made before mean nothing afterwards.
  absl::Status Publish(absl::string_view label);
  std::string PublishedName(absl::string_view label) const;
  // What all published names with this label begin with.
  static std::string Prefix(absl::string_view label);

  // Tries for some seconds: NFS keeps names of files that are still open somewhere.
  absl::Status Remove();

  const os::Environment& env() const { return env_; }
  os::SystemCalls* calls() const { return env_.calls; }
  const std::string& directory() const { return directory_; }
  const std::string& path() const { return path_; }
  std::string operator/(absl::string_view name) const;
  // The last component of path().
  std::string name() const;

  const os::FileSystemType& type() const { return type_; }
  // How the runtime would write and read here. Whether O_DIRECT is refused shows only later.
  bool network() const { return network_; }
  const log::FileAccess& access() const { return access_; }
  // Treats the file system as a network one from now on, whatever its name says.
  void UseNetworkRules();

  // Makes a file of `size` zeros, written and flushed.
  absl::Status MakeZeros(const std::string& path, uint64_t size) const;
  absl::Status MakeSubdirectory(absl::string_view name) const;
  // Changes `directory` again, as the runtime does 20 ms after it published a name in it.
  void Touch(const std::string& directory) const;

 private:
  Workspace(const os::Environment& env, std::string directory, std::string random,
            os::FileSystemType type);
  void RemoveOldOnes() const;

  const os::Environment env_;
  const std::string directory_;
  const std::string random_;
  std::string path_;
  const os::FileSystemType type_;
  bool network_;
  log::FileAccess access_;
  bool removed_ = false;
};

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_WORKSPACE_H_
