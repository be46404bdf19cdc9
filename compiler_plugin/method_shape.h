// How each kind of method looks in C++. The only place of the plugin that tells the kinds apart: a
// kind is a row in method_shape.cc.
#ifndef SPOOLRPC_COMPILER_PLUGIN_METHOD_SHAPE_H_
#define SPOOLRPC_COMPILER_PLUGIN_METHOD_SHAPE_H_

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace spoolrpc::compiler {

struct ShapeParameter {
  const char* type;
  const char* name;
  // gRPC's declaration leaves the name out; only the definition has it.
  bool unnamed_in_declaration = false;
};

// A function of Stub::async, and what it asks of the channel.
struct AsyncShape {
  std::vector<ShapeParameter> parameters;
  const char* call;
};

// In the strings, $request$ and $response$ stand for the message classes and $info$ for the
// method's MethodInfo.
struct MethodShape {
  // The enumerator of ::spoolrpc::MethodKind.
  const char* kind;

  // The reader or writer that the stub makes, and its template arguments; empty: the call is unary
  // and blocks. The class with "Interface" behind it is what a mock makes.
  const char* stream_class;
  const char* stream_types;

  // The stub's function, and what it asks of the channel.
  std::vector<ShapeParameter> stub_parameters;
  const char* stub_call;

  // The functions of Stub::async.
  std::vector<AsyncShape> async;

  // The service's virtual function, and the MethodHandler that calls it (a template over the
  // service class, the request and the response).
  std::vector<ShapeParameter> service_parameters;
  const char* handler;

  // The virtual function of the callback service. The parameters' names are `context`, `request`
  // and `response`, which is how the handler has them.
  const char* reactor;
  std::vector<ShapeParameter> callback_parameters;

  bool streams() const { return *stream_class != '\0'; }
};

// The shape of `method`; lives for ever.
const MethodShape& ShapeOf(const google::protobuf::MethodDescriptor& method);

// "type name, type name", as in a declaration.
std::string DeclaredParameters(const std::vector<ShapeParameter>& parameters);
// The same with all names, as in a definition.
std::string NamedParameters(const std::vector<ShapeParameter>& parameters);
// "type, type": for definitions that do not use them.
std::string UnnamedParameters(const std::vector<ShapeParameter>& parameters);
// "name, name": for calls.
std::string ParameterNames(const std::vector<ShapeParameter>& parameters);

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_METHOD_SHAPE_H_
