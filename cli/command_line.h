// The command line of one subcommand. The flags are absl's, but every command takes only its own:
// absl::ParseCommandLine() knows one set of flags for the whole program, and one exit status.
#ifndef SPOOLRPC_CLI_COMMAND_LINE_H_
#define SPOOLRPC_CLI_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/command.h"

namespace spoolrpc::cli {

// The type of a flag that may stand alone (`--wait`) or have a duration (`--wait=30s`). In help it
// reads `--wait[=DURATION]`.
struct OptionalDuration {
  bool given = false;
  absl::Duration value = absl::InfiniteDuration();
};
bool AbslParseFlag(absl::string_view text, OptionalDuration* flag, std::string* error);
std::string AbslUnparseFlag(OptionalDuration flag);

struct ParsedLine {
  bool help = false;
  std::vector<std::string> arguments;
};

// Sets the flags that `words` (what follows the command's name) give: `--name=value`, `--name
// value`,
// `--name` and `--noname` for what is on or off, with - or _ within names; after `--` there are
// only arguments. INVALID_ARGUMENT says what is wrong and what to do.
absl::StatusOr<ParsedLine> ParseLine(const Command& command, const std::vector<std::string>& words);

// What `spoolrpc COMMAND --help` prints.
std::string HelpOf(const Command& command);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_COMMAND_LINE_H_
