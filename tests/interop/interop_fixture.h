// What the interop cases share. Each case is a test of gRPC's own name that does what
// doc/interop-test-descriptions.md of gRPC says under it, against a server in another process.
#ifndef SPOOLRPC_TESTS_INTEROP_INTEROP_FIXTURE_H_
#define SPOOLRPC_TESTS_INTEROP_INTEROP_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/interop/test.spoolrpc.pb.h"

namespace spoolrpc::interop {

using grpc::testing::Empty;
using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using grpc::testing::StreamingInputCallRequest;
using grpc::testing::StreamingInputCallResponse;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using grpc::testing::TestService;

// In bytes, as the descriptions say.
constexpr int kLargeRequest = 271828;
constexpr int kLargeResponse = 314159;

// A channel to the spool that the flags name. A failure ends the program.
std::shared_ptr<Channel> Connect();

// A request with `request_size` zeros that asks for `response_size`.
SimpleRequest MakeSimpleRequest(int request_size, int response_size);
StreamingInputCallRequest MakeInputRequest(int size);
// A request with `request_size` zeros that asks for a message of each of the sizes.
StreamingOutputCallRequest MakeOutputRequest(int request_size,
                                             const std::vector<int>& response_sizes);

// Whether the payload is of that many zeros.
::testing::AssertionResult HasZeros(const grpc::testing::Payload& payload, int size);
::testing::AssertionResult IsOk(const absl::Status& status);

class InteropTest : public ::testing::Test {
 protected:
  InteropTest() : channel_(Connect()), stub_(TestService::NewStub(channel_)) {}

  TestService::Stub* stub() { return stub_.get(); }
  const std::shared_ptr<Channel>& channel() { return channel_; }

 private:
  const std::shared_ptr<Channel> channel_;
  const std::unique_ptr<TestService::Stub> stub_;
};

}  // namespace spoolrpc::interop

#endif  // SPOOLRPC_TESTS_INTEROP_INTEROP_FIXTURE_H_
