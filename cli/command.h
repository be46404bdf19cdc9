// A subcommand of spoolrpc: what it is called, what its help says, what it does.
#ifndef SPOOLRPC_CLI_COMMAND_H_
#define SPOOLRPC_CLI_COMMAND_H_

#include <string>
#include <vector>

namespace spoolrpc::cli {

// One exists of each command, for ever.
struct Command {
  const char* name;
  // One line, for `spoolrpc help`.
  const char* summary;
  // Without the program's name: "status [SPOOL] [--json]".
  const char* usage;
  // Everything else that a user has to know, flags aside. Lines of at most 80 columns.
  const char* description;
  // Names of the absl flags that it takes, in the order of its help.
  std::vector<const char*> flags;
  // How many arguments that are not flags it takes.
  size_t min_arguments = 0;
  size_t max_arguments = 0;
  // Returns the exit status. Flags have been parsed.
  int (*run)(const std::vector<std::string>& arguments);
};

const Command& StatusCommand();
const Command& DumpCommand();
const Command& TicketCommand();
const Command& DrainCommand();
const Command& StopCommand();
const Command& GcCommand();
const Command& DoctorCommand();

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_COMMAND_H_
