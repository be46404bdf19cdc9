// What the tests of reflection ask, of our service and of gRPC's.
#ifndef SPOOLRPC_TESTS_SERVICES_REFLECTION_REQUESTS_H_
#define SPOOLRPC_TESTS_SERVICES_REFLECTION_REQUESTS_H_

#include <string>
#include <vector>

#include "grpc/reflection/v1/reflection.pb.h"

namespace spoolrpc::services_test {

using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

ServerReflectionRequest ListServices();
ServerReflectionRequest File(const std::string& name);
ServerReflectionRequest Symbol(const std::string& name);
ServerReflectionRequest Extension(const std::string& type, int number);
ServerReflectionRequest ExtensionNumbers(const std::string& type);

// Of every kind, with and without an answer.
std::vector<ServerReflectionRequest> ManyRequests();

}  // namespace spoolrpc::services_test

#endif  // SPOOLRPC_TESTS_SERVICES_REFLECTION_REQUESTS_H_
