#include "compiler_plugin/names.h"

#include <google/protobuf/compiler/cpp/names.h>
#include <google/protobuf/descriptor.pb.h>

#include <functional>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "compiler_plugin/reserved_names.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// protobuf's own rule, asked through a message of that package: it differs between its versions.
std::string CppNamespace(const std::string& package) {
  FileDescriptorProto file;
  file.set_name("namespace.proto");
  file.set_package(package);
  file.add_message_type()->set_name("M");
  DescriptorPool pool;
  const Descriptor* message = pool.BuildFile(file)->message_type(0);
  std::string qualified = google::protobuf::compiler::cpp::QualifiedClassName(message);
  absl::string_view name =
      absl::StripSuffix(qualified, google::protobuf::compiler::cpp::ClassName(message));
  return std::string(absl::StripPrefix(absl::StripSuffix(name, "::"), "::"));
}

// The names that protobuf's C++ generator puts into a file's namespace. Nested types are there too,
// flattened: message Out.In becomes Out_In, which may be the name of a service.
class ProtobufNames {
 public:
  // Of `file` and of all that its header includes, as far as they share its namespace.
  explicit ProtobufNames(const FileDescriptor& file) : package_(file.package()) { AddFile(file); }

  bool Contains(const std::string& name) const { return names_.count(name) != 0; }

 private:
  void AddFile(const FileDescriptor& file) {
    if (!files_.insert(&file).second) return;
    for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i));
    if (file.package() != package_) return;
    for (int i = 0; i < file.message_type_count(); ++i) AddMessage(*file.message_type(i));
    for (int i = 0; i < file.enum_type_count(); ++i) AddEnum(*file.enum_type(i));
    for (int i = 0; i < file.extension_count(); ++i) AddExtension(*file.extension(i));
    if (!file.options().cc_generic_services()) return;
    for (int i = 0; i < file.service_count(); ++i) {
      names_.insert(file.service(i)->name());
      names_.insert(absl::StrCat(file.service(i)->name(), "_Stub"));
    }
  }

  void AddMessage(const Descriptor& message) {
    std::string name = google::protobuf::compiler::cpp::ClassName(&message);
    names_.insert(absl::StrCat(name, "DefaultTypeInternal"));
    names_.insert(absl::StrCat("_", name, "_default_instance_"));
    names_.insert(std::move(name));
    for (int i = 0; i < message.nested_type_count(); ++i) AddMessage(*message.nested_type(i));
    for (int i = 0; i < message.enum_type_count(); ++i) AddEnum(*message.enum_type(i));
  }

  void AddEnum(const EnumDescriptor& type) {
    std::string name = google::protobuf::compiler::cpp::ClassName(&type);
    for (absl::string_view suffix :
         {"_Name", "_Parse", "_IsValid", "_MIN", "_MAX", "_ARRAYSIZE", "_descriptor",
          "_descriptor_table", "_INT_MIN_SENTINEL_DO_NOT_USE_", "_INT_MAX_SENTINEL_DO_NOT_USE_"}) {
      names_.insert(absl::StrCat(name, suffix));
    }
    const std::string prefix = type.containing_type() == nullptr ? "" : absl::StrCat(name, "_");
    for (int i = 0; i < type.value_count(); ++i) {
      names_.insert(
          absl::StrCat(prefix, google::protobuf::compiler::cpp::EnumValueName(type.value(i))));
    }
    names_.insert(std::move(name));
  }

  void AddExtension(const FieldDescriptor& extension) {
    names_.insert(extension.name());
    std::string camel = extension.camelcase_name();
    if (!camel.empty()) camel[0] = absl::ascii_toupper(camel[0]);
    names_.insert(absl::StrCat("k", camel, "FieldNumber"));
  }

  const std::string package_;
  std::set<const FileDescriptor*> files_;
  std::set<std::string> names_;
};

// Gives out names that differ from each other and from what `is_taken` says. `declared` are the
// names in the .proto file: whoever can keep its own does, whatever the others are changed to.
class UniqueNames {
 public:
  UniqueNames(std::set<std::string> declared, std::function<bool(const std::string&)> is_taken)
      : used_(std::move(declared)), is_taken_(std::move(is_taken)) {}

  std::string Get(const std::string& declared) {
    if (!is_taken_(declared)) return declared;
    return GetNew(absl::StrCat(declared, "_"));
  }

  std::string GetNew(std::string name) {
    while (is_taken_(name) || !used_.insert(name).second) name += "_";
    return name;
  }

 private:
  std::set<std::string> used_;
  const std::function<bool(const std::string&)> is_taken_;
};

}  // namespace

Names::Names(const FileDescriptor& file) : cpp_namespace_(CppNamespace(file.package())) {
  std::set<std::string> services;
  std::set<std::string> callback_classes;
  for (int i = 0; i < file.service_count(); ++i) {
    services.insert(file.service(i)->name());
    for (int j = 0; j < file.service(i)->method_count(); ++j) {
      callback_classes.insert(CallbackClass(*file.service(i)->method(j)));
    }
  }
  const ProtobufNames protobuf_names(file);
  UniqueNames classes(services, [&](const std::string& name) {
    return IsReservedInCpp(name) || IsGeneratedMember(name) || protobuf_names.Contains(name) ||
           callback_classes.count(name) != 0 || (cpp_namespace_.empty() && IsNeededNamespace(name));
  });
  for (int i = 0; i < file.service_count(); ++i) {
    const ServiceDescriptor* service = file.service(i);
    classes_[service] = classes.Get(service->name());
    std::set<std::string> methods;
    for (int j = 0; j < service->method_count(); ++j) methods.insert(service->method(j)->name());
    UniqueNames functions(methods, [&](const std::string& name) {
      return IsReservedInCpp(name) || IsGeneratedMember(name) || callback_classes.count(name) != 0;
    });
    for (int j = 0; j < service->method_count(); ++j) {
      functions_[service->method(j)] = functions.Get(service->method(j)->name());
    }
    // After all functions: none of these takes the name of one.
    for (int j = 0; j < service->method_count(); ++j) {
      const MethodDescriptor* method = service->method(j);
      const bool streams = method->client_streaming() || method->server_streaming();
      raw_functions_[method] = streams ? functions.GetNew(absl::StrCat(method->name(), "Raw")) : "";
    }
  }
  // After all classes: a mock never takes the name of one.
  for (int i = 0; i < file.service_count(); ++i) {
    const ServiceDescriptor* service = file.service(i);
    mocks_[service] = classes.GetNew(absl::StrCat("Mock", service->name(), "Stub"));
  }
}

const std::string& Names::Class(const ServiceDescriptor& service) const {
  return classes_.at(&service);
}

std::string Names::QualifiedClass(const ServiceDescriptor& service) const {
  return absl::StrCat(cpp_namespace_.empty() ? "" : "::", cpp_namespace_, "::", Class(service));
}

const std::string& Names::Mock(const ServiceDescriptor& service) const {
  return mocks_.at(&service);
}

const std::string& Names::Function(const MethodDescriptor& method) const {
  return functions_.at(&method);
}

const std::string& Names::RawFunction(const MethodDescriptor& method) const {
  return raw_functions_.at(&method);
}

std::string Names::CallbackClass(const MethodDescriptor& method) {
  return absl::StrCat("WithCallbackMethod_", method.name());
}

std::string StripProtoSuffix(const std::string& path) {
  return google::protobuf::compiler::cpp::StripProto(path);
}

std::string PathAsIdentifier(const std::string& path) {
  std::string identifier;
  for (char c : path) {
    if (absl::ascii_isalnum(c)) {
      identifier += c;
    } else {
      absl::StrAppendFormat(&identifier, "_%02x", static_cast<unsigned char>(c));
    }
  }
  return identifier;
}

}  // namespace spoolrpc::compiler
