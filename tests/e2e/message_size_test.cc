// Messages of all sizes: around the limits of frames, beyond the log, and beyond what is allowed.
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

// Bytes that differ from place to place, so that a lost or doubled piece shows.
std::string Pattern(size_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  uint32_t state = seed * 2654435761u + 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

class MessageSizeTest : public BothTransports {
 protected:
  // Sends `size` bytes there and back.
  void Echo(Probe::Stub* stub, size_t size, uint32_t seed = 1) {
    Text request;
    request.set_data(Pattern(size, seed));
    ClientContext context;
    Text reply;
    ASSERT_OK(stub->Echo(&context, request, &reply)) << size;
    ASSERT_TRUE(reply.data() == request.data()) << size;
  }
};
SPOOLRPC_BOTH_TRANSPORTS(MessageSizeTest);

TEST_P(MessageSizeTest, EveryByteAroundTheFrameLimits) {
  ProbeService service;
  const auto server = Serve(&service);
  // Frames of at most 16 KiB, which is a quarter of the log, and of 48 KiB.
  for (const uint64_t capacity : {65536, 192 * 1024}) {
    ChannelOptions options = Options();
    options.log_capacity = capacity;
    const auto stub = Probe::NewStub(Connect(options));
    for (const size_t frame : {capacity / 4, 2 * capacity / 4}) {
      for (size_t size = frame - 120; size <= frame + 24; ++size) {
        ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), size, size));
      }
    }
    ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), 1));
  }
}

TEST_P(MessageSizeTest, EveryByteAroundTheFrameLimitsOfReplies) {
  ProbeService service;
  service.handler = [](ServerContext*, const Text* request, Text* reply) {
    reply->set_data(Pattern(request->number(), request->number()));
    return absl::OkStatus();
  };
  const auto server =
      Serve(&service, [](ServerBuilder* builder) { builder->set_log_capacity(65536); });
  const auto stub = Probe::NewStub(Connect());
  for (const size_t frame : {16384, 32768, 65536}) {
    for (size_t size = frame - 120; size <= frame + 24; ++size) {
      Text request;
      request.set_number(size);
      ClientContext context;
      Text reply;
      ASSERT_OK(stub->Run(&context, request, &reply)) << size;
      ASSERT_TRUE(reply.data() == Pattern(size, size)) << size;
    }
  }
}

TEST_P(MessageSizeTest, UpToFortyMebibytesBothWays) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  for (const size_t size : {size_t{100'000}, size_t{196'608}, size_t{1} << 20,
                            (size_t{5} << 20) + 3, size_t{40} << 20}) {
    ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), size, size));
  }
}

TEST_P(MessageSizeTest, SmallCallsPassLargeOnes) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), 1));
  std::atomic<int> large_left{3};
  std::atomic<int> small_meanwhile{0};
  std::vector<std::thread> large;
  for (int i = 0; i < 3; ++i) {
    large.emplace_back([&, i] {
      Echo(stub.get(), size_t{16} << 20, i);
      --large_left;
    });
  }
  InThreads(4, [&](int thread) {
    for (int i = 0; large_left > 0; ++i) {
      Echo(stub.get(), 10 + i % 1000, thread * 1000 + i);
      ++small_meanwhile;
    }
  });
  for (std::thread& thread : large) thread.join();
  EXPECT_GT(small_meanwhile, 10);
}

TEST_P(MessageSizeTest, LimitsOfTheClient) {
  ProbeService service;
  const auto server = Serve(&service);
  ChannelOptions options = Options();
  options.max_send_message_size = 1000;
  const auto sender = Probe::NewStub(Connect(options));
  ClientContext sending;
  Text large;
  large.set_data(std::string(1001, 'x'));
  Text reply;
  absl::Status status = sender->Echo(&sending, large, &reply);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                               AllOf(HasSubstr("/e2e.Probe/Echo"), HasSubstr("1000"))));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  ASSERT_NO_FATAL_FAILURE(Echo(sender.get(), 900));

  options = Options();
  options.max_receive_message_size = 300'000;
  const auto receiver = Probe::NewStub(Connect(options));
  for (const size_t size : {size_t{300'001}, size_t{3} << 20}) {
    large.set_data(std::string(size, 'x'));
    ClientContext receiving;
    status = receiver->Echo(&receiving, large, &reply);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                                 AllOf(HasSubstr("/e2e.Probe/Echo"), HasSubstr("300000"))));
    EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
    EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  }
  ASSERT_NO_FATAL_FAILURE(Echo(receiver.get(), 299'900));
}

TEST_P(MessageSizeTest, LimitsOfTheServer) {
  ProbeService service;
  std::atomic<int> calls{0};
  service.handler = [&](ServerContext*, const Text* request, Text* reply) {
    ++calls;
    reply->set_data(std::string(request->number(), 'r'));
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* builder) {
    builder->set_max_receive_message_size(100'000);
    builder->set_max_send_message_size(50'000);
  });
  const auto stub = Probe::NewStub(Connect());
  Text request;
  Text reply;
  for (const size_t size : {size_t{100'001}, size_t{2} << 20}) {
    request.set_data(std::string(size, 'x'));
    ClientContext context;
    const absl::Status status = stub->Run(&context, request, &reply);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                                 AllOf(HasSubstr("/e2e.Probe/Run"), HasSubstr("100000"))));
    EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
    EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  }
  EXPECT_EQ(calls, 0);
  request.Clear();
  request.set_number(50'001);
  ClientContext context;
  const absl::Status status = stub->Run(&context, request, &reply);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                               AllOf(HasSubstr("/e2e.Probe/Run"), HasSubstr("50000"))));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
  EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  EXPECT_EQ(calls, 1);
  request.set_number(49'900);
  ClientContext next;
  EXPECT_OK(stub->Run(&next, request, &reply));
}

TEST_P(MessageSizeTest, CallGivenUpWhileItsRequestIsSentLeavesTheSessionWhole) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), 1));
  Text large;
  large.set_data(std::string(size_t{30} << 20, 'x'));
  for (int i = 0; i < 8; ++i) {
    ClientContext context;
    context.set_timeout(absl::Milliseconds(1 << i));
    Text reply;
    stub->Echo(&context, large, &reply).IgnoreError();
    ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), 1000 * i, i));
  }
}

}  // namespace
}  // namespace spoolrpc::e2e
