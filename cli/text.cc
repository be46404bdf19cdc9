#include "cli/text.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spoolrpc::cli {
namespace {

// The length of the printable UTF-8 character at the front of `text`, 0 if there is none.
size_t PrintableLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  uint32_t code = first & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  const uint32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  // C1 controls, line separators, and what turns the direction of text.
  const bool control =
      code < 0xA0 || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return code < least || code > 0x10FFFF || surrogate || control ? 0 : length;
}

// The columns that `text`, which is Printable(), takes: its characters.
size_t Width(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

}  // namespace

std::string Printable(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = PrintableLength(text);
    if (length == 0) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
    } else {
      out.append(text.data(), length);
      text.remove_prefix(length);
    }
  }
  return out;
}

std::string FormatAge(absl::Duration age) {
  if (age == absl::InfiniteDuration() || age == -absl::InfiniteDuration()) return "-";
  if (age < absl::ZeroDuration()) return absl::StrCat("-", FormatAge(-age));
  if (age < absl::Minutes(1)) return absl::StrFormat("%.1fs", absl::ToDoubleSeconds(age));
  const int64_t seconds = absl::ToInt64Seconds(age);
  if (seconds < 3600) return absl::StrFormat("%dm %02ds", seconds / 60, seconds % 60);
  if (seconds < 86400) return absl::StrFormat("%dh %02dm", seconds / 3600, seconds / 60 % 60);
  return absl::StrFormat("%dd %dh", seconds / 86400, seconds / 3600 % 24);
}

std::string FormatCount(uint64_t count) {
  std::string digits = absl::StrCat(count);
  for (size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

std::string FormatSize(uint64_t bytes) {
  for (const auto& [size, unit] : {std::pair<uint64_t, const char*>{uint64_t{1} << 30, "GiB"},
                                   {1 << 20, "MiB"},
                                   {1 << 10, "KiB"}}) {
    if (bytes >= size && bytes % size == 0)
      return absl::StrCat(FormatCount(bytes / size), " ", unit);
  }
  return Plural(bytes, "byte");
}

std::string Plural(uint64_t count, absl::string_view noun) {
  return absl::StrCat(FormatCount(count), " ", noun, count == 1 ? "" : "s");
}

std::string Table(const std::vector<std::vector<std::string>>& rows, absl::string_view indent) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line(indent);
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, row[i], std::string(widths[i] - Width(row[i]) + 2, ' '));
    }
    absl::StrAppend(&out, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return out;
}

std::string HexDump(absl::string_view bytes, size_t limit, absl::string_view indent) {
  std::string out;
  const size_t shown = std::min(bytes.size(), limit);
  for (size_t at = 0; at < shown; at += 16) {
    absl::StrAppend(&out, indent, absl::StrFormat("%06x ", at));
    std::string text;
    for (size_t i = at; i < at + 16; ++i) {
      if (i % 8 == 0) out += ' ';
      if (i >= shown) {
        out += "   ";
        continue;
      }
      absl::StrAppendFormat(&out, "%02x ", static_cast<unsigned char>(bytes[i]));
      text += absl::ascii_isprint(static_cast<unsigned char>(bytes[i])) ? bytes[i] : '.';
    }
    absl::StrAppend(&out, " ", text, "\n");
  }
  if (shown < bytes.size()) {
    absl::StrAppend(&out, indent, "... and ", Plural(bytes.size() - shown, "byte"), " more\n");
  }
  return out;
}

}  // namespace spoolrpc::cli
