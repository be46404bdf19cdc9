// `spoolrpc dump`: prints any file of a spool.

#include <stdio.h>

#include <algorithm>
#include <iostream>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "cli/command.h"
#include "cli/dump.h"
#include "cli/exit_codes.h"
#include "cli/text.h"
#include "spoolrpc/spool/address.h"

ABSL_FLAG(int64_t, frames, -1, "Of a log, print only the newest so many frames; -1: all of them.");
ABSL_FLAG(bool, payloads, false, "Print the payloads of frames too, in hex and as text.");

namespace spoolrpc::cli {
namespace {

constexpr char kDescription[] =
    R"(Prints a file of a spool, whole or damaged: a record, a log with its head and
all frames that its ring still holds, a lease, a doorbell. Of a directory (a
spool or a part of it) it prints a line for each file. docs/format.md specifies
the files. Nothing is changed, no symbolic link below the argument is followed,
and only regular files are opened.

What is wrong is said in lines that begin with PROBLEM: where, what was found
and what belongs there. The dump goes on after it as far as anything can be
made out: the frames of a damaged log are searched for in the whole ring.

A log that is being written may change under the dump. A problem at the newest
frames of a living session that is gone the next time was none.

Of a log's frames it prints: the position since the log's beginning, the
sequence number, the type, the call (0: the session itself), up to where the
writer has consumed the other log, the length with header; flags, the decoded
header (method, status, metadata) and the size of the message.

Exit status:
  0  everything is as the format has it
  1  something is not
  2  wrong usage
  3  it, or something below it, cannot be read

  spoolrpc dump /scratch/me/spool
  spoolrpc dump /scratch/me/spool/sessions/0123.../requests --frames=20
)";

int RunDump(const std::vector<std::string>& arguments) {
  std::string path = arguments[0];
  if (absl::StartsWith(path, "spool:")) {
    const auto resolved = spool::ResolveAddress(path);
    if (!resolved.ok()) {
      fprintf(stderr, "spoolrpc: %s\n", Printable(resolved.status().message()).c_str());
      return kExitUsage;
    }
    path = *resolved;
  }
  DumpOptions options;
  if (const int64_t frames = absl::GetFlag(FLAGS_frames); frames >= 0) options.frames = frames;
  options.payloads = absl::GetFlag(FLAGS_payloads);
  const auto result = DumpPath(path, options, &std::cout);
  std::cout.flush();
  if (!result.ok()) {
    fprintf(stderr, "spoolrpc: %s\n", Printable(result.status().message()).c_str());
    return kExitUnusable;
  }
  // main() looks at stdout alone.
  if (!std::cout) {
    fprintf(stderr, "spoolrpc: cannot write to standard output\n");
    return kExitUnusable;
  }
  if (result->unreadable > 0) return kExitUnusable;
  return result->problems > 0 ? kExitNo : kExitOk;
}

}  // namespace

const Command& DumpCommand() {
  static const Command* const command = new Command{"dump",
                                                    "prints any file of a spool, damaged ones too",
                                                    "dump FILE|DIR [--frames=N] [--payloads]",
                                                    kDescription,
                                                    {"frames", "payloads"},
                                                    1,
                                                    1,
                                                    RunDump};
  return *command;
}

}  // namespace spoolrpc::cli
