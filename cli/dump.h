// `spoolrpc dump` without its command line: prints any file of a spool, however damaged, by the
// runtime's own decoders. Changes nothing, opens nothing but regular files and directories, follows
// no symbolic link.
#ifndef SPOOLRPC_CLI_DUMP_H_
#define SPOOLRPC_CLI_DUMP_H_

#include <cstdint>
#include <limits>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cli/byte_source.h"
#include "cli/report.h"
#include "spoolrpc/os/environment.h"

namespace spoolrpc::cli {

struct DumpOptions {
  // The newest so many frames of a log are printed.
  uint64_t frames = std::numeric_limits<uint64_t>::max();
  // Payloads too, in hex.
  bool payloads = false;
  // How many bytes may be hashed to find the frames of a damaged log; some seconds' worth.
  uint64_t search_budget = uint64_t{8} << 30;
  os::Environment environment;
};

struct DumpResult {
  int files = 0;
  int problems = 0;
  // Things that could not be read at all, in `problems` too.
  int unreadable = 0;
};

// Prints the file or directory at `path` to `out`. NOT_FOUND and such: there is nothing to print.
absl::StatusOr<DumpResult> DumpPath(const std::string& path, const DumpOptions& options,
                                    std::ostream* out);

// Prints one file of which the bytes are given. `path` is where it lies, or would: what cannot be
// told from the bytes is told from it. Never crashes, whatever the bytes are; blocks for some
// seconds at most.
void DumpFile(ByteSource* source, const std::string& path, const DumpOptions& options,
              Report* report);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_DUMP_H_
