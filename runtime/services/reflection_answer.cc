#include "spoolrpc/services/reflection_answer.h"

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.pb.h"

namespace spoolrpc::services {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using grpc::reflection::v1::ExtensionNumberResponse;
using grpc::reflection::v1::ExtensionRequest;
using grpc::reflection::v1::FileDescriptorResponse;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

// Adds `file` and then what it imports, each file once: in the order in which a reader meets them
// who looks into every import at once.
void AddWithImports(const FileDescriptor* file, absl::flat_hash_set<const FileDescriptor*>* added,
                    FileDescriptorResponse* response) {
  if (!added->insert(file).second) return;
  FileDescriptorProto proto;
  file->CopyTo(&proto);
  proto.SerializeToString(response->add_file_descriptor_proto());
  for (int i = 0; i < file->dependency_count(); ++i) {
    AddWithImports(file->dependency(i), added, response);
  }
}

// `file` null: there is no such `what`.
absl::Status AnswerFile(const FileDescriptor* file, const std::string& what,
                        ServerReflectionResponse* response) {
  if (file == nullptr) return absl::NotFoundError(absl::StrCat(what, " is not known here"));
  absl::flat_hash_set<const FileDescriptor*> added;
  AddWithImports(file, &added, response->mutable_file_descriptor_response());
  return absl::OkStatus();
}

absl::Status AnswerExtension(const ExtensionRequest& request, const DescriptorPool& pool,
                             ServerReflectionResponse* response) {
  const std::string& name = request.containing_type();
  const Descriptor* const type = pool.FindMessageTypeByName(name);
  if (type == nullptr) return absl::NotFoundError(absl::StrCat("message ", name, " is not known"));
  const int number = request.extension_number();
  const FieldDescriptor* const extension = pool.FindExtensionByNumber(type, number);
  return AnswerFile(extension == nullptr ? nullptr : extension->file(),
                    absl::StrCat("extension ", number, " of ", name), response);
}

absl::Status AnswerExtensionNumbers(const std::string& name, const DescriptorPool& pool,
                                    ServerReflectionResponse* response) {
  const Descriptor* const type = pool.FindMessageTypeByName(name);
  if (type == nullptr) return absl::NotFoundError(absl::StrCat("message ", name, " is not known"));
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(type, &extensions);
  ExtensionNumberResponse* const answer = response->mutable_all_extension_numbers_response();
  answer->set_base_type_name(name);
  for (const FieldDescriptor* const extension : extensions) {
    answer->add_extension_number(extension->number());
  }
  return absl::OkStatus();
}

absl::Status Answer(const ServerReflectionRequest& request,
                    const std::vector<std::string>& services, const DescriptorPool& pool,
                    ServerReflectionResponse* response) {
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename: {
      const std::string& name = request.file_by_filename();
      return AnswerFile(pool.FindFileByName(name), absl::StrCat("file ", name), response);
    }
    case ServerReflectionRequest::kFileContainingSymbol: {
      const std::string& name = request.file_containing_symbol();
      return AnswerFile(pool.FindFileContainingSymbol(name), absl::StrCat("symbol ", name),
                        response);
    }
    case ServerReflectionRequest::kFileContainingExtension:
      return AnswerExtension(request.file_containing_extension(), pool, response);
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      return AnswerExtensionNumbers(request.all_extension_numbers_of_type(), pool, response);
    case ServerReflectionRequest::kListServices:
      response->mutable_list_services_response();
      for (const std::string& name : services) {
        response->mutable_list_services_response()->add_service()->set_name(name);
      }
      return absl::OkStatus();
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      break;
  }
  return absl::UnimplementedError("the request asks nothing that this server knows");
}

}  // namespace

ServerReflectionResponse AnswerReflection(const ServerReflectionRequest& request,
                                          const std::vector<std::string>& services,
                                          const DescriptorPool& pool) {
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  if (const absl::Status status = Answer(request, services, pool, &response); !status.ok()) {
    response.mutable_error_response()->set_error_code(static_cast<int>(status.code()));
    response.mutable_error_response()->set_error_message(std::string(status.message()));
  }
  return response;
}

}  // namespace spoolrpc::services
