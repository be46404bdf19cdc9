// Generated code of streaming methods: stubs against a channel in this process, service classes
// through their handlers, mocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/compiler_plugin/loopback_channel.h"
#include "tests/compiler_plugin/protos/names_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/streaming_mock.spoolrpc.pb.h"

namespace spoolrpc::testing {
namespace {

using ::streaming::Chunk;
using ::streaming::Mixed;
using ::testing::_;
using ::testing::HasSubstr;
using ::testing::Return;

Chunk ChunkOf(const std::string& data) {
  Chunk chunk;
  chunk.set_data(data);
  return chunk;
}

class MixedImpl final : public Mixed::Service {
 public:
  absl::Status Upload(ServerContext* context, ServerReader<Chunk>* reader,
                      Chunk* response) override {
    EXPECT_EQ(context, kServerContext);
    for (Chunk chunk; reader->Read(&chunk);) response->mutable_data()->append(chunk.data());
    return absl::OkStatus();
  }
  absl::Status Download(ServerContext* context, const Chunk* request,
                        ServerWriter<Chunk>* writer) override {
    EXPECT_EQ(context, kServerContext);
    for (char c : request->data()) writer->Write(ChunkOf(std::string(1, c)));
    return absl::OutOfRangeError("no more");
  }
  absl::Status Talk(ServerContext* context, ServerReaderWriter<Chunk, Chunk>* stream) override {
    EXPECT_EQ(context, kServerContext);
    for (Chunk chunk; stream->Read(&chunk);) stream->Write(ChunkOf(chunk.data() + "!"));
    return absl::OkStatus();
  }
};

TEST(StreamingCodeTest, AllMethodsHaveHandlersInTheOrderOfDeclaration) {
  const Mixed::Service service;
  ASSERT_EQ(service.info().method_count, 4);
  ASSERT_EQ(service.methods().size(), 4);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(service.methods()[i].info, &service.info().methods[i]);
    EXPECT_FALSE(service.methods()[i].handler->uses_reactor());
  }
  EXPECT_EQ(service.info().methods[0].kind, MethodKind::kClientStreaming);
  EXPECT_EQ(service.info().methods[1].kind, MethodKind::kUnary);
  EXPECT_EQ(service.info().methods[2].kind, MethodKind::kServerStreaming);
  EXPECT_EQ(service.info().methods[3].kind, MethodKind::kBidiStreaming);
}

TEST(StreamingCodeTest, RequestsStream) {
  MixedImpl service;
  Chunk reply;
  const std::unique_ptr<ClientWriter<Chunk>> writer =
      StubOf<Mixed>(service)->Upload(kClientContext, &reply);
  EXPECT_TRUE(writer->Write(ChunkOf("a")));
  EXPECT_TRUE(writer->Write(ChunkOf("b")));
  writer->WriteLast(ChunkOf("c"), WriteOptions());
  EXPECT_EQ(writer->Finish(), absl::OkStatus());
  EXPECT_EQ(reply.data(), "abc");
}

TEST(StreamingCodeTest, RepliesStream) {
  MixedImpl service;
  const std::unique_ptr<ClientReader<Chunk>> reader =
      StubOf<Mixed>(service)->Download(kClientContext, ChunkOf("xy"));
  Chunk chunk;
  EXPECT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.data(), "x");
  EXPECT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.data(), "y");
  EXPECT_FALSE(reader->Read(&chunk));
  EXPECT_EQ(reader->Finish(), absl::OutOfRangeError("no more"));
}

TEST(StreamingCodeTest, BothStream) {
  MixedImpl service;
  // Through the interface, as a function that takes stubs and mocks has it.
  const std::unique_ptr<Mixed::StubInterface> stub = StubOf<Mixed>(service);
  const std::unique_ptr<ClientReaderWriterInterface<Chunk, Chunk>> stream =
      stub->Talk(kClientContext);
  for (const char* word : {"one", "two", "three"}) {
    EXPECT_TRUE(stream->Write(ChunkOf(word)));
    Chunk answer;
    EXPECT_TRUE(stream->Read(&answer));
    EXPECT_EQ(answer.data(), absl::StrCat(word, "!"));
  }
  EXPECT_TRUE(stream->WritesDone());
  Chunk none;
  EXPECT_FALSE(stream->Read(&none));
  EXPECT_EQ(stream->Finish(), absl::OkStatus());
}

TEST(StreamingCodeTest, MethodsThatAreNotOverriddenAreUnimplementedAndSayWhich) {
  const Mixed::Service service;
  const auto stub = StubOf<Mixed>(service);
  Chunk chunk;
  const auto expect_unimplemented = [](const absl::Status& status, const char* method) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("/streaming.Mixed/", method)));
  };
  expect_unimplemented(stub->Upload(kClientContext, &chunk)->Finish(), "Upload");
  expect_unimplemented(stub->Echo(kClientContext, chunk, &chunk), "Echo");
  expect_unimplemented(stub->Download(kClientContext, chunk)->Finish(), "Download");
  expect_unimplemented(stub->Talk(kClientContext)->Finish(), "Talk");
}

class FakeReader final : public ClientReaderInterface<Chunk> {
 public:
  void WaitForInitialMetadata() override {}
  bool Read(Chunk* message) override {
    message->set_data("from the mock");
    return reads_++ == 0;
  }
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  int reads_ = 0;
};

TEST(StreamingCodeTest, MocksMakeStreams) {
  ::streaming::MockMixedStub mock;
  EXPECT_CALL(mock, DownloadRaw(kClientContext, _)).WillOnce(Return(new FakeReader));
  Mixed::StubInterface* const stub = &mock;
  const std::unique_ptr<ClientReaderInterface<Chunk>> reader =
      stub->Download(kClientContext, Chunk());
  Chunk chunk;
  EXPECT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.data(), "from the mock");
  EXPECT_FALSE(reader->Read(&chunk));
}

TEST(StreamingCodeTest, TheNamesOfTheFunctionsBehindStreamsGetUnderscoresNotTheMethods) {
  ::names::MockRawsStub mock;
  EXPECT_CALL(mock, UpRaw__(kClientContext, _)).WillOnce(Return(nullptr));
  EXPECT_CALL(mock, UpRawRaw(kClientContext, _)).WillOnce(Return(nullptr));
  EXPECT_CALL(mock, UpRaw_Raw(kClientContext, _)).WillOnce(Return(nullptr));
  ::names::Raws::StubInterface* const stub = &mock;
  ::names::Empty empty;
  EXPECT_EQ(stub->Up(kClientContext, &empty), nullptr);
  EXPECT_EQ(stub->UpRaw(kClientContext, &empty), nullptr);
  EXPECT_EQ(stub->UpRaw_(kClientContext, empty), nullptr);
}

}  // namespace
}  // namespace spoolrpc::testing
