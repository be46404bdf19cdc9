#include "compiler_plugin/fingerprint.h"

#include <google/protobuf/descriptor.pb.h>
#include <xxhash.h>

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// Describes messages and enums, each once. Works through a list instead of calling itself, since
// messages may contain themselves and may be nested as deep as the author liked.
class ShapeWriter {
 public:
  explicit ShapeWriter(std::string* text) : text_(text) {}

  void Add(const Descriptor* message) {
    if (seen_.insert(message).second) messages_.push_back(message);
  }

  void WriteAll() {
    for (size_t i = 0; i < messages_.size(); ++i) WriteMessage(*messages_[i]);
    for (const EnumDescriptor* type : enums_) WriteEnum(*type);
  }

 private:
  void WriteMessage(const Descriptor& message) {
    absl::StrAppend(text_, "message ", message.full_name(), "\n");
    std::vector<const FieldDescriptor*> fields;
    for (int i = 0; i < message.field_count(); ++i) fields.push_back(message.field(i));
    std::sort(fields.begin(), fields.end(), [](const FieldDescriptor* a, const FieldDescriptor* b) {
      return a->number() < b->number();
    });
    for (const FieldDescriptor* field : fields) WriteField(*field);
  }

  void WriteField(const FieldDescriptor& field) {
    static constexpr const char* kLabels[] = {"", "optional", "required", "repeated"};
    absl::StrAppend(text_, "  ", field.number(), " ", kLabels[field.label()], " ",
                    field.type_name(), " ", field.name());
    if (field.is_packed()) absl::StrAppend(text_, " packed");
    if (field.has_presence()) absl::StrAppend(text_, " presence");
    if (field.real_containing_oneof() != nullptr) {
      absl::StrAppend(text_, " oneof ", field.real_containing_oneof()->name());
    }
    if (field.has_default_value()) {
      FieldDescriptorProto proto;
      field.CopyTo(&proto);
      absl::StrAppend(text_, " default ", absl::CEscape(proto.default_value()));
    }
    if (field.message_type() != nullptr) {
      absl::StrAppend(text_, " of ", field.message_type()->full_name());
      Add(field.message_type());
    }
    if (field.enum_type() != nullptr) {
      absl::StrAppend(text_, " of ", field.enum_type()->full_name());
      if (seen_.insert(field.enum_type()).second) enums_.push_back(field.enum_type());
    }
    absl::StrAppend(text_, "\n");
  }

  void WriteEnum(const EnumDescriptor& type) {
    const bool open = type.file()->syntax() == FileDescriptor::SYNTAX_PROTO3;
    absl::StrAppend(text_, "enum ", type.full_name(), open ? " open\n" : " closed\n");
    std::vector<const EnumValueDescriptor*> values;
    for (int i = 0; i < type.value_count(); ++i) values.push_back(type.value(i));
    // Aliases keep their order: the first is the one that is printed.
    std::stable_sort(values.begin(), values.end(),
                     [](const EnumValueDescriptor* a, const EnumValueDescriptor* b) {
                       return a->number() < b->number();
                     });
    for (const EnumValueDescriptor* value : values) {
      absl::StrAppend(text_, "  ", value->number(), " ", value->name(), "\n");
    }
  }

  std::string* const text_;
  std::set<const void*> seen_;
  std::vector<const Descriptor*> messages_;
  std::vector<const EnumDescriptor*> enums_;
};

// The method's line; what it carries goes to `shapes`, to be written after all lines of methods.
void WriteMethod(const MethodDescriptor& method, const Annotations& annotations, std::string* text,
                 ShapeWriter* shapes) {
  const MethodAnnotations& options = annotations.Of(method);
  absl::StrAppend(text, "rpc ", method.name(), " ", method.client_streaming() ? "stream " : "",
                  method.input_type()->full_name(), " ", method.server_streaming() ? "stream " : "",
                  method.output_type()->full_name(), " idempotency ",
                  method.options().idempotency_level(), " timeout ", options.timeout_ns,
                  " ack_timeout ", options.ack_timeout_ns, " ack_before_execution ",
                  options.ack_before_execution ? 1 : 0, "\n");
  shapes->Add(method.input_type());
  shapes->Add(method.output_type());
}

uint64_t HashOf(const std::string& text) { return XXH3_64bits(text.data(), text.size()); }

}  // namespace

std::string CanonicalDescription(const ServiceDescriptor& service, const Annotations& annotations) {
  std::string text = absl::StrCat("service ", service.full_name(), "\n");
  ShapeWriter shapes(&text);
  for (int i = 0; i < service.method_count(); ++i) {
    WriteMethod(*service.method(i), annotations, &text, &shapes);
  }
  shapes.WriteAll();
  return text;
}

std::string CanonicalDescription(const MethodDescriptor& method, const Annotations& annotations) {
  std::string text;
  ShapeWriter shapes(&text);
  WriteMethod(method, annotations, &text, &shapes);
  shapes.WriteAll();
  return text;
}

uint64_t Fingerprint(const ServiceDescriptor& service, const Annotations& annotations) {
  return HashOf(CanonicalDescription(service, annotations));
}

uint64_t Fingerprint(const MethodDescriptor& method, const Annotations& annotations) {
  return HashOf(CanonicalDescription(method, annotations));
}

}  // namespace spoolrpc::compiler
