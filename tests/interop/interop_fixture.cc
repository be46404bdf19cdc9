#include "tests/interop/interop_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/interop/options.h"

namespace spoolrpc::interop {

std::shared_ptr<Channel> Connect() {
  auto channel = CreateChannel(SpoolAddress(), OptionsOfChannel());
  if (!channel.ok()) {
    fprintf(stderr, "interop_client: %s\n", channel.status().ToString().c_str());
    exit(1);
  }
  return *std::move(channel);
}

SimpleRequest MakeSimpleRequest(int request_size, int response_size) {
  SimpleRequest request;
  request.set_response_size(response_size);
  request.mutable_payload()->mutable_body()->assign(request_size, '\0');
  return request;
}

StreamingInputCallRequest MakeInputRequest(int size) {
  StreamingInputCallRequest request;
  request.mutable_payload()->mutable_body()->assign(size, '\0');
  return request;
}

StreamingOutputCallRequest MakeOutputRequest(int request_size,
                                             const std::vector<int>& response_sizes) {
  StreamingOutputCallRequest request;
  request.mutable_payload()->mutable_body()->assign(request_size, '\0');
  for (const int size : response_sizes) request.add_response_parameters()->set_size(size);
  return request;
}

::testing::AssertionResult HasZeros(const grpc::testing::Payload& payload, int size) {
  const std::string& body = payload.body();
  if (body.size() != static_cast<size_t>(size)) {
    return ::testing::AssertionFailure() << body.size() << " bytes, not " << size;
  }
  if (const size_t other = body.find_first_not_of('\0'); other != std::string::npos) {
    return ::testing::AssertionFailure() << "byte " << other << " is no zero";
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult IsOk(const absl::Status& status) {
  if (status.ok()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << status.ToString();
}

}  // namespace spoolrpc::interop
