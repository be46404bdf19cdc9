// Prints raw strings that look like the code they make.
#ifndef SPOOLRPC_COMPILER_PLUGIN_TEMPLATE_H_
#define SPOOLRPC_COMPILER_PLUGIN_TEMPLATE_H_

#include <google/protobuf/io/printer.h>

#include <map>
#include <string>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace spoolrpc::compiler {

using Variables = std::map<std::string, std::string>;

// Prints `text`, a raw string that begins with a line break (left out), with $name$ replaced.
// Values may have several lines; those after the first are not indented.
inline void PrintTemplate(google::protobuf::io::Printer* printer, const Variables& variables,
                          absl::string_view text) {
  text.remove_prefix(1);
  printer->Print(variables, std::string(text).c_str());
}

// Prints lines as they are, `$` included, each indented as the printer is.
inline void PrintLines(google::protobuf::io::Printer* printer, absl::string_view lines) {
  if (lines.empty()) return;
  for (absl::string_view line : absl::StrSplit(absl::StripSuffix(lines, "\n"), '\n')) {
    printer->Print({{"line", std::string(line)}}, line.empty() ? "\n" : "$line$\n");
  }
}

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_TEMPLATE_H_
