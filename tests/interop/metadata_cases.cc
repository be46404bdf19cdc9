// The case of metadata, text and binary, both ways.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/interop/interop_fixture.h"

namespace spoolrpc::interop {
namespace {

using ::testing::ElementsAre;

constexpr char kInitial[] = "x-grpc-test-echo-initial";
constexpr char kInitialValue[] = "test_initial_metadata_value";
constexpr char kTrailing[] = "x-grpc-test-echo-trailing-bin";
constexpr char kTrailingValue[] = "\xab\xab\xab";

std::vector<std::string> ValuesOf(const Metadata& metadata, const std::string& key) {
  std::vector<std::string> values;
  for (auto [it, end] = metadata.equal_range(key); it != end; ++it) values.push_back(it->second);
  return values;
}

void AttachMetadata(ClientContext* context) {
  context->AddMetadata(kInitial, kInitialValue);
  context->AddMetadata(kTrailing, kTrailingValue);
}

void ExpectEchoed(const ClientContext& context) {
  EXPECT_THAT(ValuesOf(context.GetServerInitialMetadata(), kInitial), ElementsAre(kInitialValue));
  EXPECT_THAT(ValuesOf(context.GetServerTrailingMetadata(), kTrailing),
              ElementsAre(kTrailingValue));
}

TEST_F(InteropTest, custom_metadata) {
  {
    ClientContext context;
    AttachMetadata(&context);
    SimpleResponse reply;
    ASSERT_TRUE(IsOk(
        stub()->UnaryCall(&context, MakeSimpleRequest(kLargeRequest, kLargeResponse), &reply)));
    EXPECT_TRUE(HasZeros(reply.payload(), kLargeResponse));
    ExpectEchoed(context);
  }
  ClientContext context;
  AttachMetadata(&context);
  const auto stream = stub()->FullDuplexCall(&context);
  ASSERT_TRUE(stream->Write(MakeOutputRequest(kLargeRequest, {kLargeResponse})));
  EXPECT_TRUE(stream->WritesDone());
  StreamingOutputCallResponse reply;
  ASSERT_TRUE(stream->Read(&reply)) << stream->Finish();
  EXPECT_TRUE(HasZeros(reply.payload(), kLargeResponse));
  EXPECT_FALSE(stream->Read(&reply)) << "one more";
  EXPECT_TRUE(IsOk(stream->Finish()));
  ExpectEchoed(context);
}

}  // namespace
}  // namespace spoolrpc::interop
