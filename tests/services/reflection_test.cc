// grpc.reflection.v1.ServerReflection over real spools.
#include <thread>

#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/reflection/v1/reflection.spoolrpc.pb.h"
#include "spoolrpc/services/reflection_service.h"
#include "tests/e2e/fixture.h"
#include "tests/services/extending.spoolrpc.pb.h"
#include "tests/services/reflection_requests.h"

namespace spoolrpc::services_test {
namespace {

using e2e::BothTransports;
using e2e::Eventually;
using e2e::kLong;
using e2e::TransportName;
using google::protobuf::FileDescriptorProto;
using grpc::reflection::v1::ServerReflection;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Stream = ClientReaderWriter<ServerReflectionRequest, ServerReflectionResponse>;

constexpr char kExtended[] = "tests/services/extended.proto";
constexpr char kExtending[] = "tests/services/extending.proto";
constexpr char kLeaf[] = "tests/services/leaf.proto";

class DescribedService final : public ::services_test::Described::Service {};

// The names of the files in a response.
std::vector<std::string> Files(const ServerReflectionResponse& response) {
  std::vector<std::string> names;
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    FileDescriptorProto file;
    EXPECT_TRUE(file.ParseFromString(bytes));
    names.push_back(file.name());
  }
  return names;
}

class ReflectionTest : public BothTransports {
 protected:
  void SetUp() override {
    server_ = Serve(&described_,
                    [this](ServerBuilder* builder) { builder->RegisterService(&reflection_); });
    ASSERT_NE(server_, nullptr);
    stub_ = ServerReflection::NewStub(Connect());
    stream_ = stub_->ServerReflectionInfo(&context_);
  }
  void TearDown() override {
    stream_.reset();
    server_->Shutdown();
    EXPECT_EQ(log().Count(LogLevel::kError), 0) << log().Text();
  }

  ServerReflectionResponse Ask(const ServerReflectionRequest& request) {
    ServerReflectionResponse response;
    EXPECT_TRUE(stream_->Write(request));
    EXPECT_TRUE(stream_->Read(&response));
    EXPECT_EQ(response.valid_host(), request.host());
    EXPECT_EQ(response.original_request().SerializeAsString(), request.SerializeAsString());
    return response;
  }

  absl::StatusCode Error(const ServerReflectionRequest& request) {
    const ServerReflectionResponse response = Ask(request);
    EXPECT_TRUE(response.has_error_response()) << response.DebugString();
    return static_cast<absl::StatusCode>(response.error_response().error_code());
  }

  DescribedService described_;
  ReflectionService reflection_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<ServerReflection::Stub> stub_;
  ClientContext context_;
  std::unique_ptr<Stream> stream_;
};

TEST_P(ReflectionTest, ListsTheServices) {
  ServerReflectionRequest request = ListServices();
  request.set_host("here");
  const ServerReflectionResponse response = Ask(request);
  std::vector<std::string> names;
  for (const auto& service : response.list_services_response().service()) {
    names.push_back(service.name());
  }
  EXPECT_THAT(names, ElementsAre("services_test.Described", "grpc.reflection.v1.ServerReflection"));
}

TEST_P(ReflectionTest, FilesComeWithAllTheyImport) {
  EXPECT_THAT(Files(Ask(File(kExtending))), ElementsAre(kExtending, kExtended, kLeaf));
  EXPECT_THAT(Files(Ask(File(kExtended))), ElementsAre(kExtended, kLeaf));
  EXPECT_THAT(Files(Ask(File(kLeaf))), ElementsAre(kLeaf));
}

TEST_P(ReflectionTest, FilesOfSymbols) {
  for (const char* const symbol :
       {"services_test.Described", "services_test.Described.Describe", "services_test.note"}) {
    EXPECT_THAT(Files(Ask(Symbol(symbol))), ElementsAre(kExtending, kExtended, kLeaf)) << symbol;
  }
  for (const char* const symbol : {"services_test.Leaf", "services_test.Leaf.colour",
                                   "services_test.Leaf.Colour", "services_test.Leaf.BROWN"}) {
    EXPECT_THAT(Files(Ask(Symbol(symbol))), ElementsAre(kLeaf)) << symbol;
  }
}

TEST_P(ReflectionTest, FilesOfExtensions) {
  for (const int number : {100, 150}) {
    EXPECT_THAT(Files(Ask(Extension("services_test.Extended", number))),
                ElementsAre(kExtending, kExtended, kLeaf));
  }
}

TEST_P(ReflectionTest, ExtensionNumbers) {
  const ServerReflectionResponse some = Ask(ExtensionNumbers("services_test.Extended"));
  EXPECT_EQ(some.all_extension_numbers_response().base_type_name(), "services_test.Extended");
  EXPECT_THAT(some.all_extension_numbers_response().extension_number(),
              UnorderedElementsAre(100, 150));
  const ServerReflectionResponse none = Ask(ExtensionNumbers("services_test.Leaf"));
  EXPECT_EQ(none.all_extension_numbers_response().base_type_name(), "services_test.Leaf");
  EXPECT_THAT(none.all_extension_numbers_response().extension_number(), IsEmpty());
}

// What a client is to do with it: call a method whose types it learns only now.
TEST_P(ReflectionTest, FilesMakeAPool) {
  google::protobuf::DescriptorPool pool;
  const ServerReflectionResponse response = Ask(Symbol("services_test.Described"));
  const auto& files = response.file_descriptor_response().file_descriptor_proto();
  for (int i = files.size() - 1; i >= 0; --i) {
    FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(files[i]));
    ASSERT_NE(pool.BuildFile(file), nullptr) << file.name();
  }
  const auto* const method = pool.FindMethodByName("services_test.Described.Describe");
  ASSERT_NE(method, nullptr);
  EXPECT_EQ(method->output_type()->full_name(), "services_test.Leaf");
  const auto* const note = pool.FindExtensionByNumber(method->input_type(), 100);
  ASSERT_NE(note, nullptr);
  EXPECT_EQ(note->full_name(), "services_test.note");
}

TEST_P(ReflectionTest, WhatIsNotThereIsNotFound) {
  for (const ServerReflectionRequest& request :
       {File("no.proto"), Symbol("services_test.Nothing"), Symbol(""),
        Extension("services_test.Extended", 101), Extension("services_test.Nothing", 100),
        ExtensionNumbers("services_test.Nothing")}) {
    EXPECT_EQ(Error(request), absl::StatusCode::kNotFound) << request.DebugString();
  }
  EXPECT_EQ(Error(ServerReflectionRequest()), absl::StatusCode::kUnimplemented);
  // The stream goes on.
  EXPECT_THAT(Files(Ask(File(kLeaf))), ElementsAre(kLeaf));
  EXPECT_TRUE(stream_->WritesDone());
  ServerReflectionResponse response;
  EXPECT_FALSE(stream_->Read(&response));
  EXPECT_OK(stream_->Finish());
}

// More than the windows of the stream hold, both ways.
TEST_P(ReflectionTest, AnswersComeInOrder) {
  constexpr int kRequests = 3000;
  std::thread writer([this] {
    ServerReflectionRequest request = File("google/protobuf/descriptor.proto");
    for (int i = 0; i < kRequests; ++i) {
      request.set_host(std::to_string(i));
      if (i % 100 != 0)
        request.set_list_services("");
      else
        request.set_file_by_filename("google/protobuf/descriptor.proto");
      ASSERT_TRUE(stream_->Write(request));
    }
    EXPECT_TRUE(stream_->WritesDone());
  });
  ServerReflectionResponse response;
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_TRUE(stream_->Read(&response));
    ASSERT_EQ(response.valid_host(), std::to_string(i));
    ASSERT_EQ(response.has_file_descriptor_response(), i % 100 == 0);
  }
  EXPECT_FALSE(stream_->Read(&response));
  writer.join();
  EXPECT_OK(stream_->Finish());
}

TEST_P(ReflectionTest, OpenStreamEndsWhenTheServerDrains) {
  Ask(ListServices());
  server_->Shutdown();  // without a deadline: nothing has to be cancelled
  ServerReflectionResponse response;
  EXPECT_FALSE(stream_->Read(&response));
  const absl::Status end = stream_->Finish();
  EXPECT_EQ(end.code(), absl::StatusCode::kUnavailable) << end;
  EXPECT_FALSE(IsTransportError(end)) << end;
}

// A client that asks and never reads.
TEST_P(ReflectionTest, StuckStreamEndsWhenTheServerDrains) {
  // The answers are larger than the requests: these all fit, and the answers do not.
  ServerReflectionResponse response = Ask(File("google/protobuf/descriptor.proto"));
  const size_t answer = response.ByteSizeLong();
  const int enough = static_cast<int>(400000 / answer) + 1;
  for (int i = 0; i < enough; ++i) {
    EXPECT_TRUE(stream_->Write(File("google/protobuf/descriptor.proto")));
  }
  absl::Notification down;
  std::thread shutdown([&] {
    server_->Shutdown();
    down.Notify();
  });
  EXPECT_TRUE(down.WaitForNotificationWithTimeout(kLong));
  if (!down.HasBeenNotified()) context_.TryCancel();
  shutdown.join();
  int answers = 0;
  while (stream_->Read(&response)) ++answers;
  EXPECT_LT(answers, enough);
  EXPECT_EQ(stream_->Finish().code(), absl::StatusCode::kUnavailable);
}

TEST_P(ReflectionTest, CancelledStreamEnds) {
  Ask(ListServices());
  context_.TryCancel();
  EXPECT_EQ(stream_->Finish().code(), absl::StatusCode::kCancelled);
  server_->Shutdown();
}

SPOOLRPC_BOTH_TRANSPORTS(ReflectionTest);

}  // namespace
}  // namespace spoolrpc::services_test
