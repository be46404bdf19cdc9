#include "compiler_plugin/annotations.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>

#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "compiler_plugin/diagnostics.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::DynamicMessageFactory;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using google::protobuf::MethodDescriptorProto;
using google::protobuf::ServiceDescriptor;
using google::protobuf::ServiceDescriptorProto;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

constexpr int64_t kNanosPerSecond = 1000000000;
constexpr int64_t kMaxSeconds = std::numeric_limits<int64_t>::max() / kNanosPerSecond - 1;

// Reads one value of (spoolrpc.service) or (spoolrpc.method).
//
// The options are read through the definition that the .proto file imports, not through one linked
// into the plugin: so another option with the same number, in a file that does not import ours, is
// none of our business and cannot make the plugin fail.
class OptionReader {
 public:
  // `extension` is the full name of the option, `path` the place of the options in `file`.
  OptionReader(const FileDescriptor& file, const char* extension, std::vector<int> path,
               std::vector<std::string>* errors)
      : file_(file),
        name_(absl::StrCat("option (", extension, ")")),
        path_(std::move(path)),
        errors_(errors),
        extension_(file.pool()->FindExtensionByName(extension)) {
    if (extension_ != nullptr) path_.push_back(extension_->number());
  }

  // Merges what `options` says into `annotations`.
  void Read(const Message& options, MethodAnnotations* annotations) {
    if (extension_ == nullptr || extension_->message_type() == nullptr) return;
    DynamicMessageFactory factory;
    std::unique_ptr<Message> value(factory.GetPrototype(extension_->message_type())->New());
    if (!ParseUnknownField(options.GetReflection()->GetUnknownFields(options), value.get())) return;
    std::vector<const FieldDescriptor*> fields;
    value->GetReflection()->ListFields(*value, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->name() == "timeout") {
        ReadDuration(*value, *field, &annotations->timeout_ns);
      } else if (field->name() == "ack_timeout") {
        ReadDuration(*value, *field, &annotations->ack_timeout_ns);
      } else if (field->name() == "ack_before_execution") {
        annotations->ack_before_execution = value->GetReflection()->GetBool(*value, field);
      } else {
        AddError({field->number()}, field->name(),
                 "is newer than this protoc-gen-spoolrpc: take the plugin of the release that has "
                 "this spoolrpc/options.proto");
      }
    }
  }

 private:
  // An option may be set piece by piece, and then each piece is a field of its own.
  bool ParseUnknownField(const UnknownFieldSet& unknown, Message* value) const {
    bool found = false;
    for (int i = 0; i < unknown.field_count(); ++i) {
      const UnknownField& field = unknown.field(i);
      if (field.number() != extension_->number()) continue;
      if (field.type() != UnknownField::TYPE_LENGTH_DELIMITED) continue;
      // Cannot fail: protoc has just written these bytes by the same definition.
      found |= value->MergeFromString(field.length_delimited());
    }
    return found;
  }

  void ReadDuration(const Message& value, const FieldDescriptor& field, int64_t* nanoseconds) {
    const Message& duration = value.GetReflection()->GetMessage(value, &field);
    const FieldDescriptor* seconds_field = duration.GetDescriptor()->FindFieldByName("seconds");
    const FieldDescriptor* nanos_field = duration.GetDescriptor()->FindFieldByName("nanos");
    const int64_t seconds = duration.GetReflection()->GetInt64(duration, seconds_field);
    const int32_t nanos = duration.GetReflection()->GetInt32(duration, nanos_field);
    if (nanos < 0 || nanos >= kNanosPerSecond) {
      AddError({field.number(), nanos_field->number()}, field.name(),
               absl::StrCat("has nanos: ", nanos, ": write 0 to 999999999"));
    } else if (seconds < 0 || (seconds == 0 && nanos == 0)) {
      AddError({field.number(), seconds_field->number()}, field.name(),
               absl::StrCat("is ", seconds, " s ", nanos,
                            " ns: write a positive duration, or leave it out for the default"));
    } else if (seconds > kMaxSeconds) {
      AddError({field.number(), seconds_field->number()}, field.name(),
               absl::StrCat("is ", seconds, " s: write at most ", kMaxSeconds,
                            " s, or leave it out for the default"));
    } else {
      *nanoseconds = seconds * kNanosPerSecond + nanos;
    }
  }

  void AddError(const std::vector<int>& subpath, absl::string_view field,
                absl::string_view problem) {
    std::vector<int> path = path_;
    path.insert(path.end(), subpath.begin(), subpath.end());
    errors_->push_back(absl::StrCat(Place(file_, path), ": ", name_, ".", field, " ", problem));
  }

  const FileDescriptor& file_;
  const std::string name_;
  std::vector<int> path_;
  std::vector<std::string>* const errors_;
  const FieldDescriptor* const extension_;
};

}  // namespace

Annotations::Annotations(const FileDescriptor& file, std::vector<std::string>* errors) {
  for (int i = 0; i < file.service_count(); ++i) {
    const ServiceDescriptor& service = *file.service(i);
    MethodAnnotations defaults;
    std::vector<int> path = PathOf(service);
    path.push_back(ServiceDescriptorProto::kOptionsFieldNumber);
    OptionReader(file, "spoolrpc.service", path, errors).Read(service.options(), &defaults);
    for (int j = 0; j < service.method_count(); ++j) {
      const MethodDescriptor& method = *service.method(j);
      MethodAnnotations annotations = defaults;
      path = PathOf(method);
      path.push_back(MethodDescriptorProto::kOptionsFieldNumber);
      OptionReader(file, "spoolrpc.method", path, errors).Read(method.options(), &annotations);
      methods_[&method] = annotations;
    }
  }
}

}  // namespace spoolrpc::compiler
