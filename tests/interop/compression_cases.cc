// The cases of compression, per call and per message, both ways. (SpoolRPC's is zstd.)

#include "tests/interop/interop_fixture.h"

namespace spoolrpc::interop {
namespace {

// Of StreamingInputCall's and StreamingOutputCall's messages, in bytes.
constexpr int kFirstInput = 27182;
constexpr int kSecondInput = 45904;
constexpr int kFirstOutput = 31415;
constexpr int kSecondOutput = 92653;

WriteOptions Uncompressed() { return WriteOptions().set_no_compression(); }

TEST_F(InteropTest, client_compressed_unary) {
  SimpleRequest request = MakeSimpleRequest(kLargeRequest, kLargeResponse);
  request.mutable_expect_compressed()->set_value(true);
  SimpleResponse reply;
  {
    // The probe: a server that sees that it is not compressed says so.
    ClientContext context;
    context.set_compression(Compression::kNone);
    const absl::Status status = stub()->UnaryCall(&context, request, &reply);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  }
  for (const bool compressed : {true, false}) {
    request.mutable_expect_compressed()->set_value(compressed);
    ClientContext context;
    context.set_compression(compressed ? Compression::kZstd : Compression::kNone);
    ASSERT_TRUE(IsOk(stub()->UnaryCall(&context, request, &reply))) << compressed;
    EXPECT_TRUE(HasZeros(reply.payload(), kLargeResponse));
  }
}

TEST_F(InteropTest, server_compressed_unary) {
  for (const bool compressed : {true, false}) {
    SimpleRequest request = MakeSimpleRequest(kLargeRequest, kLargeResponse);
    request.mutable_response_compressed()->set_value(compressed);
    ClientContext context;
    SimpleResponse reply;
    ASSERT_TRUE(IsOk(stub()->UnaryCall(&context, request, &reply))) << compressed;
    EXPECT_EQ(context.reply_was_compressed(), compressed);
    EXPECT_TRUE(HasZeros(reply.payload(), kLargeResponse));
  }
}

TEST_F(InteropTest, client_compressed_streaming) {
  StreamingInputCallRequest first = MakeInputRequest(kFirstInput);
  first.mutable_expect_compressed()->set_value(true);
  {
    // The probe, as above.
    ClientContext context;
    context.set_compression(Compression::kZstd);
    StreamingInputCallResponse reply;
    const auto writer = stub()->StreamingInputCall(&context, &reply);
    ASSERT_TRUE(writer->Write(first, Uncompressed()));
    const absl::Status status = writer->Finish();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  }
  ClientContext context;
  context.set_compression(Compression::kZstd);
  StreamingInputCallResponse reply;
  const auto writer = stub()->StreamingInputCall(&context, &reply);
  ASSERT_TRUE(writer->Write(first));
  StreamingInputCallRequest second = MakeInputRequest(kSecondInput);
  second.mutable_expect_compressed()->set_value(false);
  ASSERT_TRUE(writer->Write(second, Uncompressed()));
  EXPECT_TRUE(writer->WritesDone());
  ASSERT_TRUE(IsOk(writer->Finish()));
  EXPECT_EQ(reply.aggregated_payload_size(), kFirstInput + kSecondInput);
}

TEST_F(InteropTest, server_compressed_streaming) {
  StreamingOutputCallRequest request = MakeOutputRequest(0, {kFirstOutput, kSecondOutput});
  request.mutable_response_parameters(0)->mutable_compressed()->set_value(true);
  request.mutable_response_parameters(1)->mutable_compressed()->set_value(false);
  ClientContext context;
  const auto reader = stub()->StreamingOutputCall(&context, request);
  StreamingOutputCallResponse reply;
  ASSERT_TRUE(reader->Read(&reply)) << reader->Finish();
  EXPECT_TRUE(context.reply_was_compressed());
  EXPECT_TRUE(HasZeros(reply.payload(), kFirstOutput));
  ASSERT_TRUE(reader->Read(&reply)) << reader->Finish();
  EXPECT_FALSE(context.reply_was_compressed());
  EXPECT_TRUE(HasZeros(reply.payload(), kSecondOutput));
  EXPECT_FALSE(reader->Read(&reply)) << "one more";
  EXPECT_TRUE(IsOk(reader->Finish()));
}

}  // namespace
}  // namespace spoolrpc::interop
