#include "cli/command_line.h"

#include <utility>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace spoolrpc::cli {
namespace {

bool IsSwitch(const absl::CommandLineFlag& flag) { return flag.IsOfType<bool>(); }
bool MayStandAlone(const absl::CommandLineFlag& flag) {
  return IsSwitch(flag) || flag.IsOfType<OptionalDuration>();
}

// The command's flag of that name, in which - and _ are the same, or null.
absl::CommandLineFlag* FindFlag(const Command& command, absl::string_view written) {
  const std::string name = absl::StrReplaceAll(written, {{"-", "_"}});
  for (const char* own : command.flags) {
    if (name == own) return absl::FindCommandLineFlag(own);
  }
  return nullptr;
}

absl::Status Wrong(const Command& command, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(what, "\nusage: spoolrpc ", command.usage,
                                                 "\n`spoolrpc ", command.name,
                                                 " --help` says what each part means."));
}

absl::Status Set(const Command& command, absl::CommandLineFlag* flag, absl::string_view value) {
  std::string error;
  if (flag->ParseFrom(value, &error)) return absl::OkStatus();
  return Wrong(command, error.empty() ? absl::StrCat("--", flag->Name(), "=", value,
                                                     ": not a value "
                                                     "of this flag")
                                      : error);
}

// Breaks `text` at blanks into lines of at most `width` columns, each after `indent`.
std::string Wrap(absl::string_view text, absl::string_view indent, size_t width) {
  std::string out;
  size_t column = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (column > 0 && column + 1 + word.size() > width) {
      out += '\n';
      column = 0;
    }
    absl::StrAppend(&out, column == 0 ? indent : " ", word);
    column += word.size() + (column == 0 ? indent.size() : 1);
  }
  return out + "\n";
}

}  // namespace

bool AbslParseFlag(absl::string_view text, OptionalDuration* flag, std::string* error) {
  absl::Duration value;
  if (!absl::ParseDuration(text, &value) || value < absl::ZeroDuration()) {
    *error = "write a duration with its unit, such as 500ms, 30s or 5m";
    return false;
  }
  *flag = {true, value};
  return true;
}

std::string AbslUnparseFlag(OptionalDuration flag) {
  return flag.given ? absl::FormatDuration(flag.value) : "";
}

absl::StatusOr<ParsedLine> ParseLine(const Command& command,
                                     const std::vector<std::string>& words) {
  ParsedLine line;
  bool only_arguments = false;
  for (size_t i = 0; i < words.size(); ++i) {
    absl::string_view word = words[i];
    if (only_arguments || word == "-" || !absl::ConsumePrefix(&word, "-")) {
      line.arguments.push_back(words[i]);
      continue;
    }
    absl::ConsumePrefix(&word, "-");
    if (words[i] == "--") {
      only_arguments = true;
      continue;
    }
    if (word == "help" || word == "h") {
      line.help = true;
      return line;
    }
    const size_t equals = word.find('=');
    const absl::string_view name = word.substr(0, equals);
    absl::CommandLineFlag* flag = FindFlag(command, name);
    absl::Status set;
    if (flag == nullptr) {
      absl::string_view positive = name;
      if (absl::ConsumePrefix(&positive, "no")) flag = FindFlag(command, positive);
      if (flag == nullptr || !IsSwitch(*flag) || equals != absl::string_view::npos) {
        return Wrong(command, absl::StrCat("unknown flag '", words[i], "'"));
      }
      set = Set(command, flag, "false");
    } else if (equals != absl::string_view::npos) {
      set = Set(command, flag, word.substr(equals + 1));
    } else if (MayStandAlone(*flag)) {
      set = Set(command, flag, IsSwitch(*flag) ? "true" : "inf");
    } else if (i + 1 < words.size()) {
      set = Set(command, flag, words[++i]);
    } else {
      set = Wrong(command, absl::StrCat("--", name, " wants a value: --", name, "=..."));
    }
    if (!set.ok()) return set;
  }
  if (line.arguments.size() < command.min_arguments) {
    return Wrong(command, absl::StrCat("'", command.name, "' wants ", command.min_arguments,
                                       " argument", command.min_arguments == 1 ? "" : "s"));
  }
  if (line.arguments.size() > command.max_arguments) {
    return Wrong(command,
                 absl::StrCat("what is '", line.arguments[command.max_arguments], "' for? '",
                              command.name, "' takes at most ", command.max_arguments, " argument",
                              command.max_arguments == 1 ? "" : "s"));
  }
  return line;
}

std::string HelpOf(const Command& command) {
  std::string help = absl::StrCat("usage: spoolrpc ", command.usage, "\n\n", command.description);
  if (!command.flags.empty()) help += "\nFlags:\n";
  for (const char* name : command.flags) {
    const absl::CommandLineFlag* const flag = absl::FindCommandLineFlag(name);
    if (flag == nullptr) continue;
    const std::string otherwise = flag->DefaultValue();
    absl::StrAppend(
        &help, "  --", name,
        IsSwitch(*flag)        ? ""
        : MayStandAlone(*flag) ? "[=DURATION]"
                               : "=...",
        IsSwitch(*flag) || otherwise.empty() ? "" : absl::StrCat("  (default ", otherwise, ")"),
        "\n", Wrap(flag->Help(), "      ", 80));
  }
  return help;
}

}  // namespace spoolrpc::cli
