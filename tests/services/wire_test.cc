// That our contracts of health and reflection are gRPC's: names, numbers and types as it publishes
// them, and some messages byte by byte.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "spoolrpc/services/health_service.h"
#include "spoolrpc/services/reflection_service.h"

namespace spoolrpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// "NUMBER [repeated ]TYPE[ in ONEOF]", by name.
std::map<std::string, std::string> FieldsOf(const Descriptor* type) {
  std::map<std::string, std::string> fields;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* const field = type->field(i);
    std::string text = absl::StrCat(field->number(), field->is_repeated() ? " repeated " : " ");
    if (field->message_type() != nullptr) {
      absl::StrAppend(&text, field->message_type()->full_name());
    } else if (field->enum_type() != nullptr) {
      absl::StrAppend(&text, field->enum_type()->full_name());
    } else {
      absl::StrAppend(&text, field->type_name());
    }
    if (field->containing_oneof() != nullptr) {
      absl::StrAppend(&text, " in ", field->containing_oneof()->name());
    }
    fields[field->name()] = text;
  }
  return fields;
}

// All messages of a file.
std::map<std::string, std::map<std::string, std::string>> MessagesOf(const FileDescriptor* file) {
  std::map<std::string, std::map<std::string, std::string>> messages;
  for (int i = 0; i < file->message_type_count(); ++i) {
    messages[file->message_type(i)->full_name()] = FieldsOf(file->message_type(i));
  }
  return messages;
}

std::vector<std::string> MethodsOf(const Service& service) {
  std::vector<std::string> methods;
  for (const Service::Method& method : service.methods()) {
    methods.push_back(absl::StrCat(method.info->full_name, " ", static_cast<int>(method.info->kind),
                                   method.handler->uses_reactor() ? " reactor" : " blocks"));
  }
  return methods;
}

TEST(WireTest, HealthHasTheFieldsOfGrpc) {
  EXPECT_THAT(MessagesOf(HealthCheckRequest::descriptor()->file()),
              UnorderedElementsAre(
                  Pair("grpc.health.v1.HealthCheckRequest",
                       UnorderedElementsAre(Pair("service", "1 string"))),
                  Pair("grpc.health.v1.HealthCheckResponse",
                       UnorderedElementsAre(
                           Pair("status", "1 grpc.health.v1.HealthCheckResponse.ServingStatus")))));
  const EnumDescriptor* const status = HealthCheckResponse::ServingStatus_descriptor();
  std::map<std::string, int> values;
  for (int i = 0; i < status->value_count(); ++i) {
    values[status->value(i)->name()] = status->value(i)->number();
  }
  EXPECT_THAT(values, UnorderedElementsAre(Pair("UNKNOWN", 0), Pair("SERVING", 1),
                                           Pair("NOT_SERVING", 2), Pair("SERVICE_UNKNOWN", 3)));
  EXPECT_EQ(HealthCheckRequest::descriptor()->file()->syntax(), FileDescriptor::SYNTAX_PROTO3);
}

TEST(WireTest, ReflectionHasTheFieldsOfGrpc) {
  EXPECT_THAT(MessagesOf(ServerReflectionRequest::descriptor()->file()),
              UnorderedElementsAre(
                  Pair("grpc.reflection.v1.ServerReflectionRequest",
                       UnorderedElementsAre(
                           Pair("host", "1 string"),
                           Pair("file_by_filename", "3 string in message_request"),
                           Pair("file_containing_symbol", "4 string in message_request"),
                           Pair("file_containing_extension",
                                "5 grpc.reflection.v1.ExtensionRequest in message_request"),
                           Pair("all_extension_numbers_of_type", "6 string in message_request"),
                           Pair("list_services", "7 string in message_request"))),
                  Pair("grpc.reflection.v1.ExtensionRequest",
                       UnorderedElementsAre(Pair("containing_type", "1 string"),
                                            Pair("extension_number", "2 int32"))),
                  Pair("grpc.reflection.v1.ServerReflectionResponse",
                       UnorderedElementsAre(
                           Pair("valid_host", "1 string"),
                           Pair("original_request", "2 grpc.reflection.v1.ServerReflectionRequest"),
                           Pair("file_descriptor_response",
                                "4 grpc.reflection.v1.FileDescriptorResponse in message_response"),
                           Pair("all_extension_numbers_response",
                                "5 grpc.reflection.v1.ExtensionNumberResponse in message_response"),
                           Pair("list_services_response",
                                "6 grpc.reflection.v1.ListServiceResponse in message_response"),
                           Pair("error_response",
                                "7 grpc.reflection.v1.ErrorResponse in message_response"))),
                  Pair("grpc.reflection.v1.FileDescriptorResponse",
                       UnorderedElementsAre(Pair("file_descriptor_proto", "1 repeated bytes"))),
                  Pair("grpc.reflection.v1.ExtensionNumberResponse",
                       UnorderedElementsAre(Pair("base_type_name", "1 string"),
                                            Pair("extension_number", "2 repeated int32"))),
                  Pair("grpc.reflection.v1.ListServiceResponse",
                       UnorderedElementsAre(
                           Pair("service", "1 repeated grpc.reflection.v1.ServiceResponse"))),
                  Pair("grpc.reflection.v1.ServiceResponse",
                       UnorderedElementsAre(Pair("name", "1 string"))),
                  Pair("grpc.reflection.v1.ErrorResponse",
                       UnorderedElementsAre(Pair("error_code", "1 int32"),
                                            Pair("error_message", "2 string")))));
  EXPECT_EQ(ServerReflectionRequest::descriptor()->file()->syntax(), FileDescriptor::SYNTAX_PROTO3);
}

TEST(WireTest, MethodsHaveTheNamesOfGrpc) {
  static_assert(static_cast<int>(MethodKind::kUnary) == 0);
  static_assert(static_cast<int>(MethodKind::kServerStreaming) == 2);
  static_assert(static_cast<int>(MethodKind::kBidiStreaming) == 3);
  const HealthService health;
  EXPECT_STREQ(health.info().full_name, "grpc.health.v1.Health");
  EXPECT_THAT(MethodsOf(health), ElementsAre("/grpc.health.v1.Health/Check 0 reactor",
                                             "/grpc.health.v1.Health/Watch 2 reactor"));
  const ReflectionService reflection;
  EXPECT_STREQ(reflection.info().full_name, "grpc.reflection.v1.ServerReflection");
  EXPECT_THAT(MethodsOf(reflection),
              ElementsAre("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo 3 reactor"));
}

TEST(WireTest, Bytes) {
  HealthCheckRequest check;
  check.set_service("a.B");
  EXPECT_EQ(check.SerializeAsString(),
            "\x0a\x03"
            "a.B");
  HealthCheckResponse health;
  health.set_status(HealthCheckResponse::SERVICE_UNKNOWN);
  EXPECT_EQ(health.SerializeAsString(), "\x08\x03");

  ServerReflectionRequest request;
  request.set_host("h");
  request.mutable_file_containing_extension()->set_containing_type("T");
  request.mutable_file_containing_extension()->set_extension_number(7);
  const std::string asked = "\x0a\x01h\x2a\x05\x0a\x01T\x10\x07";
  EXPECT_EQ(request.SerializeAsString(), asked);
  ServerReflectionResponse response;
  *response.mutable_original_request() = request;
  response.mutable_error_response()->set_error_code(5);
  response.mutable_error_response()->set_error_message("no");
  EXPECT_EQ(response.SerializeAsString(), "\x12\x0a" + asked + "\x3a\x06\x08\x05\x12\x02no");
}

}  // namespace
}  // namespace spoolrpc
