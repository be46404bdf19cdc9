#include "compiler_plugin/option_value.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler_plugin/diagnostics.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::DynamicMessageFactory;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

constexpr int64_t kNanosPerSecond = 1000000000;
constexpr int64_t kMaxSeconds = std::numeric_limits<int64_t>::max() / kNanosPerSecond - 1;
constexpr int kMaxCode = 16;  // UNAUTHENTICATED

// An option may be set piece by piece, and then each piece is a field of its own.
bool ParseUnknownField(const UnknownFieldSet& unknown, int number, Message* value) {
  bool found = false;
  for (int i = 0; i < unknown.field_count(); ++i) {
    const UnknownField& field = unknown.field(i);
    if (field.number() != number) continue;
    if (field.type() != UnknownField::TYPE_LENGTH_DELIMITED) continue;
    // Cannot fail: protoc has just written these bytes by the same definition.
    found |= value->MergeFromString(field.length_delimited());
  }
  return found;
}

}  // namespace

void OptionValue::ForEachField(const std::function<void(const FieldDescriptor&)>& read) const {
  std::vector<const FieldDescriptor*> fields;
  message_.GetReflection()->ListFields(message_, &fields);
  for (const FieldDescriptor* field : fields) read(*field);
}

bool OptionValue::GetBool(const FieldDescriptor& field) const {
  return message_.GetReflection()->GetBool(message_, &field);
}

OptionValue OptionValue::Get(const FieldDescriptor& field) const {
  std::vector<int> path = path_;
  path.push_back(field.number());
  return OptionValue(file_, message_.GetReflection()->GetMessage(message_, &field),
                     absl::StrCat(name_, ".", field.name()), std::move(path), errors_);
}

void OptionValue::ReadDuration(const FieldDescriptor& field, bool zero_allowed,
                               int64_t* nanoseconds) const {
  const Message& duration = message_.GetReflection()->GetMessage(message_, &field);
  const FieldDescriptor* seconds_field = duration.GetDescriptor()->FindFieldByName("seconds");
  const FieldDescriptor* nanos_field = duration.GetDescriptor()->FindFieldByName("nanos");
  const int64_t seconds = duration.GetReflection()->GetInt64(duration, seconds_field);
  const int32_t nanos = duration.GetReflection()->GetInt32(duration, nanos_field);
  if (nanos < 0 || nanos >= kNanosPerSecond) {
    AddErrorAt({field.number(), nanos_field->number()}, field.name(),
               absl::StrCat("has nanos: ", nanos, ": write 0 to 999999999"));
  } else if (seconds < 0 || (seconds == 0 && nanos == 0 && !zero_allowed)) {
    AddErrorAt({field.number(), seconds_field->number()}, field.name(),
               absl::StrCat("is ", seconds, " s ", nanos,
                            " ns: write a positive duration, or leave it out for the default"));
  } else if (seconds > kMaxSeconds) {
    AddErrorAt({field.number(), seconds_field->number()}, field.name(),
               absl::StrCat("is ", seconds, " s: write at most ", kMaxSeconds,
                            " s, or leave it out for the default"));
  } else {
    *nanoseconds = seconds * kNanosPerSecond + nanos;
  }
}

void OptionValue::ReadInt(const FieldDescriptor& field, int32_t min, int32_t* value) const {
  const int32_t given = message_.GetReflection()->GetInt32(message_, &field);
  if (given < min) {
    AddError(field, absl::StrCat("is ", given, ": write ", min,
                                 " or more, or leave it out for the default"));
  } else {
    *value = given;
  }
}

void OptionValue::ReadDouble(const FieldDescriptor& field, double min, double* value) const {
  const double given = message_.GetReflection()->GetDouble(message_, &field);
  if (!std::isfinite(given) || given < min) {
    AddError(field, absl::StrCat("is ", given, ": write a number of at least ", min,
                                 ", or leave it out for the default"));
  } else {
    *value = given;
  }
}

void OptionValue::ReadEnum(const FieldDescriptor& field, int max, int* value) const {
  const int given = message_.GetReflection()->GetEnumValue(message_, &field);
  if (given < 0 || given > max) {
    AddNewer(field);
  } else {
    *value = given;
  }
}

void OptionValue::ReadCodes(const FieldDescriptor& field, uint32_t* bits) const {
  uint32_t given = 0;
  for (int i = 0; i < message_.GetReflection()->FieldSize(message_, &field); ++i) {
    const int code = message_.GetReflection()->GetRepeatedEnumValue(message_, &field, i);
    if (code < 0 || code > kMaxCode) return AddNewer(field);
    if (code == 0) return AddError(field, "has OK: write codes of errors");
    given |= uint32_t{1} << code;
  }
  *bits = given;
}

void OptionValue::AddError(const FieldDescriptor& field, absl::string_view problem) const {
  AddErrorAt({field.number()}, field.name(), problem);
}

void OptionValue::AddError(absl::string_view field, absl::string_view problem) const {
  const FieldDescriptor* descriptor = message_.GetDescriptor()->FindFieldByName(std::string(field));
  std::vector<int> subpath;
  if (descriptor != nullptr) subpath.push_back(descriptor->number());
  AddErrorAt(subpath, field, problem);
}

void OptionValue::AddNewer(const FieldDescriptor& field) const {
  AddError(field,
           "is newer than this protoc-gen-spoolrpc: take the plugin of the release that has this "
           "spoolrpc/options.proto");
}

void OptionValue::AddErrorAt(const std::vector<int>& subpath, absl::string_view field,
                             absl::string_view problem) const {
  std::vector<int> path = path_;
  path.insert(path.end(), subpath.begin(), subpath.end());
  errors_->push_back(absl::StrCat(Place(file_, path), ": ", name_, ".", field, " ", problem));
}

void ReadOption(const FileDescriptor& file, const Message& options, const std::string& extension,
                std::vector<int> path, std::vector<std::string>* errors,
                const std::function<void(const OptionValue&)>& read) {
  const FieldDescriptor* const field = file.pool()->FindExtensionByName(extension);
  if (field == nullptr || field->message_type() == nullptr) return;
  DynamicMessageFactory factory;
  const std::unique_ptr<Message> value(factory.GetPrototype(field->message_type())->New());
  const UnknownFieldSet& unknown = options.GetReflection()->GetUnknownFields(options);
  if (!ParseUnknownField(unknown, field->number(), value.get())) return;
  path.push_back(field->number());
  read(
      OptionValue(file, *value, absl::StrCat("option (", extension, ")"), std::move(path), errors));
}

}  // namespace spoolrpc::compiler
