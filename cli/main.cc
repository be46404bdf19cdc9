// spoolrpc: looks at spools and after them. One file per subcommand; this one finds the command
// that is meant.

#include <stdio.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/command_line.h"
#include "cli/exit_codes.h"
#include "spoolrpc/spool/layout.h"

namespace spoolrpc::cli {
namespace {

std::vector<const Command*> Commands() {
  return {&StatusCommand(), &DumpCommand(), &TicketCommand(), &DrainCommand(),
          &StopCommand(),   &GcCommand(),   &DoctorCommand()};
}

std::string Overview() {
  std::string text =
      "usage: spoolrpc COMMAND [ARGUMENT...] [--FLAG...]\n"
      "\n"
      "Looks at spools, the directories that carry SpoolRPC's calls, and at durable calls;\n"
      "stops servers, collects what dead processes left, and examines file systems.\n"
      "\n"
      "Commands:\n";
  for (const Command* command : Commands()) {
    absl::StrAppendFormat(&text, "  %-8s %s\n", command->name, command->summary);
  }
  return absl::StrCat(text,
                      "  help     this text, or that of a command: spoolrpc help COMMAND\n"
                      "  version  the version of this program, and of what it reads\n"
                      "\n"
                      "`spoolrpc COMMAND --help` says what a command does, its flags and its exit "
                      "status.\n");
}

int Print(const std::string& text) {
  fwrite(text.data(), 1, text.size(), stdout);
  return kExitOk;
}

int Fail(const std::string& text) {
  fprintf(stderr, "spoolrpc: %s\n", text.c_str());
  return kExitUsage;
}

int Run(const std::vector<std::string>& words) {
  if (words.empty()) {
    return Fail("which command? `spoolrpc help` lists them, `spoolrpc status` shows the servers");
  }
  std::string name = words[0];
  std::vector<std::string> rest(words.begin() + 1, words.end());
  if (name == "--version" || name == "version") {
    return Print(absl::StrCat("spoolrpc ", spool::kSoftwareVersion, " (spool format ",
                              spool::kSpoolFormatVersion, ", protocol ", spool::kProtocolVersion,
                              ")\n"));
  }
  if (name == "--help" || name == "-h" || name == "-help" || name == "help") {
    if (rest.empty()) return Print(Overview());
    name = rest[0];
    rest = {"--help"};
  }
  for (const Command* command : Commands()) {
    if (name != command->name) continue;
    const auto line = ParseLine(*command, rest);
    if (!line.ok()) return Fail(std::string(line.status().message()));
    return line->help ? Print(HelpOf(*command)) : command->run(line->arguments);
  }
  return Fail(absl::StrCat("unknown command '", name, "'; `spoolrpc help` lists those there are"));
}

}  // namespace
}  // namespace spoolrpc::cli

int main(int argc, char** argv) {
  const int status = spoolrpc::cli::Run(std::vector<std::string>(argv + 1, argv + argc));
  // What was not written was not said: a full disk must not look like an answer.
  if (fflush(stdout) != 0 || ferror(stdout) != 0) {
    perror("spoolrpc: write to standard output");
    return spoolrpc::cli::kExitUnusable;
  }
  return status;
}
