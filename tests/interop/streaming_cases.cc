// The cases of streams that end well.

#include <vector>

#include "tests/interop/interop_fixture.h"

namespace spoolrpc::interop {
namespace {

// The sizes of the n-th request's and the n-th reply's payload, in bytes.
const std::vector<int>& RequestSizes() {
  static const auto* const sizes = new std::vector<int>{27182, 8, 1828, 45904};
  return *sizes;
}
const std::vector<int>& ResponseSizes() {
  static const auto* const sizes = new std::vector<int>{31415, 9, 2653, 58979};
  return *sizes;
}

TEST_F(InteropTest, client_streaming) {
  ClientContext context;
  StreamingInputCallResponse reply;
  const auto writer = stub()->StreamingInputCall(&context, &reply);
  for (const int size : RequestSizes()) ASSERT_TRUE(writer->Write(MakeInputRequest(size)));
  EXPECT_TRUE(writer->WritesDone());
  ASSERT_TRUE(IsOk(writer->Finish()));
  EXPECT_EQ(reply.aggregated_payload_size(), 74922);
}

TEST_F(InteropTest, server_streaming) {
  ClientContext context;
  const auto reader = stub()->StreamingOutputCall(&context, MakeOutputRequest(0, ResponseSizes()));
  StreamingOutputCallResponse reply;
  for (const int size : ResponseSizes()) {
    ASSERT_TRUE(reader->Read(&reply)) << "no message of " << size << ": " << reader->Finish();
    EXPECT_TRUE(HasZeros(reply.payload(), size));
  }
  EXPECT_FALSE(reader->Read(&reply)) << "one more";
  EXPECT_TRUE(IsOk(reader->Finish()));
}

TEST_F(InteropTest, ping_pong) {
  ClientContext context;
  const auto stream = stub()->FullDuplexCall(&context);
  StreamingOutputCallResponse reply;
  for (size_t i = 0; i < RequestSizes().size(); ++i) {
    ASSERT_TRUE(stream->Write(MakeOutputRequest(RequestSizes()[i], {ResponseSizes()[i]})));
    ASSERT_TRUE(stream->Read(&reply)) << "no answer to request " << i << ": " << stream->Finish();
    EXPECT_TRUE(HasZeros(reply.payload(), ResponseSizes()[i]));
  }
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&reply)) << "one more";
  EXPECT_TRUE(IsOk(stream->Finish()));
}

TEST_F(InteropTest, empty_stream) {
  ClientContext context;
  const auto stream = stub()->FullDuplexCall(&context);
  EXPECT_TRUE(stream->WritesDone());
  StreamingOutputCallResponse reply;
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_TRUE(IsOk(stream->Finish()));
}

}  // namespace
}  // namespace spoolrpc::interop
