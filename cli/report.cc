#include "cli/report.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/text.h"
#include "google/protobuf/text_format.h"

namespace spoolrpc::cli {
namespace {

// Ids have this many bytes.
constexpr size_t kIdSize = 16;

// Prints ids and other bytes that are no text in hex, as the names of files have them.
class BytesInHex final : public google::protobuf::TextFormat::FastFieldValuePrinter {
 public:
  void PrintString(const std::string& value,
                   google::protobuf::TextFormat::BaseTextGenerator* out) const override {
    out->PrintString(absl::StrCat("\"", absl::Utf8SafeCEscape(value), "\""));
  }
  void PrintBytes(const std::string& value,
                  google::protobuf::TextFormat::BaseTextGenerator* out) const override {
    const bool text = std::all_of(value.begin(), value.end(), [](char c) {
      return absl::ascii_isprint(static_cast<unsigned char>(c));
    });
    out->PrintString(text && value.size() != kIdSize
                         ? absl::StrCat("\"", absl::CEscape(value), "\"")
                         : absl::BytesToHexString(value));
  }
};

std::string Print(const google::protobuf::Message& message, bool single_line) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(single_line);
  // What a newer version has added is shown by number.
  printer.SetHideUnknownFields(false);
  printer.SetDefaultFieldValuePrinter(new BytesInHex);  // takes ownership
  std::string text;
  printer.PrintToString(message, &text);
  return text;
}

}  // namespace

void Report::Headline(absl::string_view text) {
  if (depth_ != Depth::kNothing) *out_ << Printable(text) << '\n';
}

void Report::Detail(absl::string_view text) {
  if (details()) {
    *out_ << indent_ << Printable(absl::StripTrailingAsciiWhitespace(text)) << '\n';
  }
}

void Report::DetailBlock(absl::string_view lines) {
  if (details()) *out_ << lines;
}

void Report::Problem(absl::string_view text) {
  ++problems_;
  if (depth_ != Depth::kNothing) *out_ << indent_ << "PROBLEM: " << Printable(text) << '\n';
}

void Report::ProblemAt(uint64_t offset, absl::string_view text) {
  Problem(absl::StrCat("at offset ", offset, ": ", text));
}

std::string MessageLines(const google::protobuf::Message& message, absl::string_view indent) {
  std::string lines;
  for (const absl::string_view line :
       absl::StrSplit(Print(message, /*single_line=*/false), '\n', absl::SkipEmpty())) {
    absl::StrAppend(&lines, indent, Printable(line), "\n");
  }
  return lines;
}

std::string MessageLine(const google::protobuf::Message& message) {
  return std::string(
      absl::StripTrailingAsciiWhitespace(Printable(Print(message, /*single_line=*/true))));
}

}  // namespace spoolrpc::cli
