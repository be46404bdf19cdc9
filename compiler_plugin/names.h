// The C++ names of what is generated: protobuf's where protobuf has chosen one, and a trailing
// underscore where C++ or the generated classes use a name already.
#ifndef SPOOLRPC_COMPILER_PLUGIN_NAMES_H_
#define SPOOLRPC_COMPILER_PLUGIN_NAMES_H_

#include <google/protobuf/descriptor.h>

#include <map>
#include <string>

namespace spoolrpc::compiler {

// The names of one .proto file. Holds descriptors of `file`, which must outlive it.
class Names {
 public:
  explicit Names(const google::protobuf::FileDescriptor& file);

  // The namespace of protobuf's generated code: "pkg::sub", or empty.
  const std::string& cpp_namespace() const { return cpp_namespace_; }

  // The class of a service of this file: "Greeter".
  const std::string& Class(const google::protobuf::ServiceDescriptor& service) const;
  // The same from the global namespace: "::pkg::Greeter".
  std::string QualifiedClass(const google::protobuf::ServiceDescriptor& service) const;
  // The mock of its stub: "MockGreeterStub".
  const std::string& Mock(const google::protobuf::ServiceDescriptor& service) const;
  // The member functions of Stub and Service that stand for `method`.
  const std::string& Function(const google::protobuf::MethodDescriptor& method) const;
  // The private member function of Stub that starts a stream: "UploadRaw"; empty if `method` does
  // not stream.
  const std::string& RawFunction(const google::protobuf::MethodDescriptor& method) const;
  // The class template that makes `method` a callback method: "WithCallbackMethod_Upload".
  static std::string CallbackClass(const google::protobuf::MethodDescriptor& method);

 private:
  std::string cpp_namespace_;
  std::map<const google::protobuf::ServiceDescriptor*, std::string> classes_;
  std::map<const google::protobuf::ServiceDescriptor*, std::string> mocks_;
  std::map<const google::protobuf::MethodDescriptor*, std::string> functions_;
  std::map<const google::protobuf::MethodDescriptor*, std::string> raw_functions_;
};

// "dir/x.proto" -> "dir/x".
std::string StripProtoSuffix(const std::string& path);

// An identifier for `path` that no other path has, such as "dir_2fx_2eproto".
std::string PathAsIdentifier(const std::string& path);

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_NAMES_H_
