#include "cli/report.h"

#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/text.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"

namespace spoolrpc::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::TextFormat;

// Bytes that are no text in hex.
class BytesAsText : public TextFormat::FastFieldValuePrinter {
 public:
  void PrintString(const std::string& value, TextFormat::BaseTextGenerator* out) const override {
    out->PrintString(absl::StrCat("\"", absl::Utf8SafeCEscape(value), "\""));
  }
  void PrintBytes(const std::string& value, TextFormat::BaseTextGenerator* out) const override {
    const bool text = std::all_of(value.begin(), value.end(), [](char c) {
      return absl::ascii_isprint(static_cast<unsigned char>(c));
    });
    out->PrintString(text ? absl::StrCat("\"", absl::CEscape(value), "\"")
                          : absl::BytesToHexString(value));
  }
};

// Numbers that mean nothing as numbers: fingerprints and nonces.
class NumberInHex final : public BytesAsText {
 public:
  void PrintUInt64(uint64_t value, TextFormat::BaseTextGenerator* out) const override {
    out->PrintString(absl::StrFormat("0x%016x", value));
  }
};

// Ids, as the names of files have them.
class BytesInHex final : public BytesAsText {
 public:
  void PrintBytes(const std::string& value, TextFormat::BaseTextGenerator* out) const override {
    out->PrintString(absl::BytesToHexString(value));
  }
};

// How the fields of `type`, and of the messages inside it, are printed.
void RegisterPrinters(const Descriptor* type, std::set<const Descriptor*>* seen,
                      TextFormat::Printer* printer) {
  if (!seen->insert(type).second) return;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* const field = type->field(i);
    if (field->message_type() != nullptr) RegisterPrinters(field->message_type(), seen, printer);
    std::unique_ptr<TextFormat::FastFieldValuePrinter> special;
    if (field->type() == FieldDescriptor::TYPE_BYTES && absl::EndsWith(field->name(), "_id")) {
      special = std::make_unique<BytesInHex>();
    } else if (field->type() == FieldDescriptor::TYPE_FIXED64) {
      special = std::make_unique<NumberInHex>();
    }
    if (special == nullptr) continue;
    // Takes ownership if it returns true.
    if (printer->RegisterFieldValuePrinter(field, special.get())) {
      static_cast<void>(special.release());
    }
  }
}

std::string Print(const google::protobuf::Message& message, bool single_line) {
  TextFormat::Printer printer;
  printer.SetSingleLineMode(single_line);
  // What a newer version has added is shown by number.
  printer.SetHideUnknownFields(false);
  printer.SetDefaultFieldValuePrinter(new BytesAsText);  // takes ownership
  std::set<const Descriptor*> seen;
  RegisterPrinters(message.GetDescriptor(), &seen, &printer);
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
