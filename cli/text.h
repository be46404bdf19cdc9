// Words and tables for people. What is printed may come from files that anybody wrote: nothing of
// it reaches the terminal as a control sequence.
#ifndef SPOOLRPC_CLI_TEXT_H_
#define SPOOLRPC_CLI_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace spoolrpc::cli {

// `text` as valid UTF-8 without control characters: each byte that is not, or belongs to one, as
// \xNN.
std::string Printable(absl::string_view text);

// "1.2s", "3m 20s", "2h 05m", "3d 4h"; "-" for an infinite one.
std::string FormatAge(absl::Duration age);

// "192 KiB", "4,096 bytes".
std::string FormatSize(uint64_t bytes);
// "1,234,567"
std::string FormatCount(uint64_t count);

// "1 frame", "2 frames": `noun` with an s where it needs one.
std::string Plural(uint64_t count, absl::string_view noun);

// Rows in columns of equal width, two blanks between them, each line after `indent`. Every row has
// as many cells as the first.
std::string Table(const std::vector<std::vector<std::string>>& rows, absl::string_view indent);

// 16 bytes a line, in hex and as text, each line after `indent`; at most `limit` bytes, and how
// many more there are.
std::string HexDump(absl::string_view bytes, size_t limit, absl::string_view indent);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_TEXT_H_
