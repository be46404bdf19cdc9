// The cases of calls that do not end well: by the handler's word, for want of a handler, by
// cancellation, at the deadline.

#include <string>

#include "tests/interop/interop_fixture.h"

namespace spoolrpc::interop {
namespace {

// As SimpleRequest and StreamingOutputCallRequest have it.
template <class Request>
Request MakeStatusRequest(absl::StatusCode code, const std::string& message) {
  Request request;
  request.mutable_response_status()->set_code(static_cast<int>(code));
  request.mutable_response_status()->set_message(message);
  return request;
}

void ExpectUnknown(const absl::Status& status, const std::string& message) {
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown) << status;
  EXPECT_EQ(status.message(), message);
  EXPECT_FALSE(IsTransportError(status)) << status;
}

TEST_F(InteropTest, status_code_and_message) {
  const std::string message = "test status message";
  {
    ClientContext context;
    SimpleResponse reply;
    ExpectUnknown(
        stub()->UnaryCall(&context,
                          MakeStatusRequest<SimpleRequest>(absl::StatusCode::kUnknown, message),
                          &reply),
        message);
  }
  ClientContext context;
  const auto stream = stub()->FullDuplexCall(&context);
  ASSERT_TRUE(stream->Write(
      MakeStatusRequest<StreamingOutputCallRequest>(absl::StatusCode::kUnknown, message)));
  // (The server may have ended the call by now.)
  stream->WritesDone();
  StreamingOutputCallResponse reply;
  EXPECT_FALSE(stream->Read(&reply));
  ExpectUnknown(stream->Finish(), message);
}

TEST_F(InteropTest, special_status_message) {
  const std::string message =
      "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n";
  ClientContext context;
  SimpleResponse reply;
  ExpectUnknown(
      stub()->UnaryCall(
          &context, MakeStatusRequest<SimpleRequest>(absl::StatusCode::kUnknown, message), &reply),
      message);
}

TEST_F(InteropTest, unimplemented_method) {
  ClientContext context;
  Empty reply;
  const absl::Status status = stub()->UnimplementedCall(&context, Empty(), &reply);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
}

TEST_F(InteropTest, unimplemented_service) {
  const auto unimplemented = grpc::testing::UnimplementedService::NewStub(channel());
  ClientContext context;
  // (A server that offers the service might still come, and is waited for so long.)
  context.set_ack_timeout(absl::Seconds(1));
  Empty reply;
  const absl::Status status = unimplemented->UnimplementedCall(&context, Empty(), &reply);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
}

TEST_F(InteropTest, cancel_after_begin) {
  ClientContext context;
  StreamingInputCallResponse reply;
  const auto writer = stub()->StreamingInputCall(&context, &reply);
  context.TryCancel();
  const absl::Status status = writer->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
}

TEST_F(InteropTest, cancel_after_first_response) {
  ClientContext context;
  const auto stream = stub()->FullDuplexCall(&context);
  ASSERT_TRUE(stream->Write(MakeOutputRequest(27182, {31415})));
  StreamingOutputCallResponse reply;
  ASSERT_TRUE(stream->Read(&reply)) << stream->Finish();
  EXPECT_TRUE(HasZeros(reply.payload(), 31415));
  context.TryCancel();
  const absl::Status status = stream->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
}

TEST_F(InteropTest, timeout_on_sleeping_server) {
  ClientContext context;
  context.set_timeout(absl::Milliseconds(1));
  const auto stream = stub()->FullDuplexCall(&context);
  // (The time may be up before it is written.)
  stream->Write(MakeOutputRequest(27182, {}));
  StreamingOutputCallResponse reply;
  EXPECT_FALSE(stream->Read(&reply));
  const absl::Status status = stream->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
}

}  // namespace
}  // namespace spoolrpc::interop
