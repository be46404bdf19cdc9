// How each kind of method looks in C++. The only place of the plugin that tells unary from
// streaming: a kind is added by a row in method_shape.cc.
#ifndef SPOOLRPC_COMPILER_PLUGIN_METHOD_SHAPE_H_
#define SPOOLRPC_COMPILER_PLUGIN_METHOD_SHAPE_H_

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace spoolrpc::compiler {

struct ShapeParameter {
  const char* type;
  const char* name;
};

// In the strings, $request$ and $response$ stand for the message classes and $info$ for the
// method's MethodInfo.
struct MethodShape {
  // The enumerator of ::spoolrpc::MethodKind.
  const char* kind;
  // False: the runtime has no such calls yet, and the rest is empty. The method is left out of Stub
  // and Service.
  bool supported = false;

  // The stub's function, and the body that calls the channel.
  const char* stub_result = "";
  std::vector<ShapeParameter> stub_parameters;
  const char* stub_body = "";

  // The service's virtual function, and the MethodHandler that calls it (a template over the
  // service class, the request and the response).
  std::vector<ShapeParameter> service_parameters;
  const char* handler = "";
};

// The shape of `method`; lives for ever.
const MethodShape& ShapeOf(const google::protobuf::MethodDescriptor& method);

// "type name, type name".
std::string NamedParameters(const std::vector<ShapeParameter>& parameters);
// "type, type": for definitions that do not use them.
std::string UnnamedParameters(const std::vector<ShapeParameter>& parameters);

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_METHOD_SHAPE_H_
