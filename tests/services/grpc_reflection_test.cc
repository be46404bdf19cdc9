// Our reflection service beside gRPC's own (which is v1alpha: the same messages in another
// package): the same requests, asked of both, get the same answers, byte by byte but for the texts
// of errors.
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/support/sync_stream.h>

#include "absl/strings/str_replace.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "spoolrpc/services/reflection_answer.h"
#include "tests/e2e/fixture.h"
#include "tests/services/grpc_server.h"
#include "tests/services/reflection_requests.h"

namespace spoolrpc::services_test {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptorProto;
using grpc::internal::RpcMethod;

// What gRPC's server answers. On a stream of its own: gRPC's server adds to the reply before.
ServerReflectionResponse AskGrpc(grpc::Channel* channel, const ServerReflectionRequest& request) {
  const RpcMethod method("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                         RpcMethod::BIDI_STREAMING);
  grpc::ClientContext context;
  const std::unique_ptr<grpc::ClientReaderWriter<ServerReflectionRequest, ServerReflectionResponse>>
      stream(grpc::internal::ClientReaderWriterFactory<
             ServerReflectionRequest, ServerReflectionResponse>::Create(channel, method, &context));
  ServerReflectionResponse response;
  EXPECT_TRUE(stream->Write(request));
  EXPECT_TRUE(stream->Read(&response)) << request.DebugString();
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
  return response;
}

TEST(GrpcReflectionTest, TheSameAnswers) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  const GrpcServer server;
  std::vector<ServerReflectionRequest> requests = ManyRequests();
  requests.push_back(ListServices());
  int errors = 0;
  for (const ServerReflectionRequest& request : requests) {
    ServerReflectionResponse theirs = AskGrpc(server.channel(), request);
    // Of their services, which differ by the name of the version.
    ServerReflectionResponse ours = services::AnswerReflection(
        request, {"grpc.reflection.v1alpha.ServerReflection"}, *DescriptorPool::generated_pool());
    if (ours.has_error_response()) {
      ++errors;
      EXPECT_NE(ours.error_response().error_message(), "") << request.DebugString();
      ASSERT_TRUE(theirs.has_error_response()) << request.DebugString();
      ours.mutable_error_response()->clear_error_message();
      theirs.mutable_error_response()->clear_error_message();
    }
    EXPECT_EQ(ours.SerializeAsString(), theirs.SerializeAsString())
        << ours.DebugString() << "\nand theirs:\n"
        << theirs.DebugString();
  }
  // Both kinds were compared.
  EXPECT_GT(errors, 5);
  EXPECT_LT(errors, static_cast<int>(requests.size()) - 10);
}

// The contract that gRPC's library carries, and ours.
TEST(GrpcReflectionTest, TheSameContract) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  const auto* const theirs = DescriptorPool::generated_pool()->FindFileContainingSymbol(
      "grpc.reflection.v1alpha.ServerReflection");
  ASSERT_NE(theirs, nullptr);
  FileDescriptorProto their_file;
  theirs->CopyTo(&their_file);
  FileDescriptorProto our_file;
  ServerReflectionRequest::descriptor()->file()->CopyTo(&our_file);
  for (FileDescriptorProto* const file : {&their_file, &our_file}) {
    file->clear_name();
    file->clear_options();
  }
  EXPECT_EQ(our_file.DebugString(),
            absl::StrReplaceAll(their_file.DebugString(),
                                {{"grpc.reflection.v1alpha", "grpc.reflection.v1"}}));
}

}  // namespace
}  // namespace spoolrpc::services_test
