#include "tests/services/reflection_requests.h"

#include "tests/services/extending.pb.h"

namespace spoolrpc::services_test {

ServerReflectionRequest ListServices() {
  ServerReflectionRequest request;
  request.set_list_services("*");
  return request;
}

ServerReflectionRequest File(const std::string& name) {
  ServerReflectionRequest request;
  request.set_file_by_filename(name);
  return request;
}

ServerReflectionRequest Symbol(const std::string& name) {
  ServerReflectionRequest request;
  request.set_file_containing_symbol(name);
  return request;
}

ServerReflectionRequest Extension(const std::string& type, int number) {
  ServerReflectionRequest request;
  request.mutable_file_containing_extension()->set_containing_type(type);
  request.mutable_file_containing_extension()->set_extension_number(number);
  return request;
}

ServerReflectionRequest ExtensionNumbers(const std::string& type) {
  ServerReflectionRequest request;
  request.set_all_extension_numbers_of_type(type);
  return request;
}

std::vector<ServerReflectionRequest> ManyRequests() {
  // So that the linker keeps the files: their messages are used.
  const ::services_test::Extended used;
  std::vector<ServerReflectionRequest> requests = {
      File("tests/services/extending.proto"),
      File("tests/services/leaf.proto"),
      File("google/protobuf/descriptor.proto"),
      File("tests/services/nothing.proto"),
      File(""),
      Symbol(used.GetTypeName()),
      Symbol("services_test.Extended.leaf"),
      Symbol("services_test.Leaf.Colour"),
      Symbol("services_test.Leaf.BROWN"),
      Symbol("services_test.note"),
      Symbol("services_test.Described"),
      Symbol("services_test.Described.Describe"),
      Symbol("services_test.Described.Nothing"),
      Symbol("services_test.Nothing"),
      Symbol("services_test"),
      Symbol(".services_test.Extended"),
      Symbol(""),
      Extension("services_test.Extended", 100),
      Extension("services_test.Extended", 150),
      Extension("services_test.Extended", 151),
      Extension("services_test.Extended", 1),
      Extension("services_test.Extended", -1),
      Extension("services_test.Nothing", 100),
      ExtensionNumbers("services_test.Extended"),
      ExtensionNumbers("services_test.Leaf"),
      ExtensionNumbers("services_test.Nothing"),
      ExtensionNumbers("services_test.Described"),
      ServerReflectionRequest(),
  };
  for (size_t i = 0; i < requests.size(); i += 2) requests[i].set_host("a host");
  return requests;
}

}  // namespace spoolrpc::services_test
